"""No chat template takes more than 3 s or 64 MB: at whatever it is slow or grows, it ends with exit
code 1 and the limit's name. The address space is bounded so that memory which the limit does not
count ends a render with another message. Not run under sanitizers, which need more of both.

What merely scans for too long stands in src/text/jinja/jinja_test.cc, with a shorter limit.
"""

import resource
import subprocess

import pytest

ADDRESS_SPACE_KB = 20_000 + 256 * 1024  # the program needs 20 MB for a template that does nothing
SECONDS_MAX = 5  # of processor time, which other work does not lengthen; the limit is 3

TIME = "the template takes longer than 3000 ms"
MEMORY = "the template needs more than 67108864 bytes of memory"

BIG = "{% set a = 'ab' * 5 * 10 ** 6 %}"  # 10 MB


def forever(start, body):
    """`body` again and again; `start` once."""
    again = "{% for i in range(99999) %}"
    return start + again + again + body + "{% endfor %}{% endfor %}"


def gather(value, start=""):
    """A list of many values, each made anew."""
    return (start + "{% set n = namespace(l=[]) %}{% for i in range(99999) %}"
            "{% set n.l = n.l + [" + value + "] %}{% endfor %}")


# n.x: a list that holds one twice that holds one twice...
DOUBLED = ("{% set n = namespace(x=[1]) %}{% for i in range(99) %}{% set n.x = [n.x, n.x] %}"
           "{% endfor %}")


SLOW = {
    "replace": forever(BIG, "{% if a.replace('a', '') %}{% endif %}"),
    "find": forever("{% set a = 'a' * 10 ** 7 %}{% set b = 'a' * 5 * 10 ** 6 ~ 'b' %}",
                    "{% if a.find(b) %}{% endif %}"),
    "sameas": forever(BIG + "{% set b = a ~ '' %}", "{% if a is sameas b %}{% endif %}"),
    "sort": forever("{% set l = range(99999)|list %}", "{% if l|sort(reverse=true) %}{% endif %}"),
    "compare": DOUBLED + "{% set m = n.x %}" + DOUBLED + "{{ n.x == m }}",
    "keys": forever("{% set a = 'x' * 10 ** 6 %}{% set k = a ~ 8 %}{% set d = {"
                    + ", ".join(f"a ~ {i}: 1" for i in range(7)) + "} %}",
                    "{% if d[k] is defined %}{% endif %}"),
    "attributes": forever("{% set n = namespace(dict(range(99998)|map('string')|batch(2))) %}",
                          "{% if n.x is defined %}{% endif %}"),
    "named arguments": forever("{% macro m() %}{% set k = kwargs %}{% endmacro %}", "{{ m("
                               + ", ".join(f"k{i}=1" for i in range(20000)) + ") }}"),
    "parameters": forever("{% macro m(" + ", ".join(f"k{i}" for i in range(15000))
                          + ") %}{% endmacro %}", "{{ m("
                          + ", ".join(f"k{i}=1" for i in range(15000)) + ") }}"),
    "macro recursion": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}"
                       "{% endmacro %}{{ m(300) }}",
}

LARGE = {
    "output": forever("", "x" * 1000),
    "repeated text": "{{ ('a' * 10 ** 9)|length }}",
    "repeated list": "{{ ([0] * 10 ** 8)|length }}",
    "characters": "{{ ('x' * 10 ** 7)|list|length }}",
    "loop over characters": "{% for c in 'x' * 10 ** 7 %}{% endfor %}",
    "split": BIG + "{{ a.split('b')|length }}",
    "words": "{{ ('a ' * 10 ** 7).split()|length }}",
    "lines": "{{ ('\\n' * 10 ** 7).splitlines()|length }}",
    "join": "{{ ('x' * 10 ** 6).join('abcdefgh' * 1000)|length }}",
    "join filter": "{{ (range(99999)|join('x' * 10 ** 6))|length }}",
    "replace": BIG + "{{ a.replace('a', 'x' * 100)|length }}",
    "case": "{{ ('\u0390' * 10 ** 7).upper()|length }}",
    "padding": "{{ 'x'|center(10 ** 15)|length }}",
    "format": "{{ ('%1000000s' * 999 % ((1,) * 999))|length }}",
    "str.format": "{{ ('{0}' * 10 ** 6).format('x' * 10 ** 4)|length }}",
    "indent": "{{ ('\\n' * 10 ** 5)|indent(10 ** 4, blank=true)|length }}",
    "escape": "{{ ('<' * 2 * 10 ** 7)|e|length }}",
    "tojson": "{{ ('\\x01' * 10 ** 7)|tojson|length }}",
    "tojson of shared lists": DOUBLED + "{{ n.x|tojson|length }}",
    "repr of shared lists": DOUBLED + "{{ (n.x ~ '')|length }}",
    "texts added up": "{% set n = namespace(s='x') %}{% for i in range(99) %}"
                      "{% set n.s = n.s + n.s %}{% endfor %}",
    "texts in a list": gather("'x' * 10 ** 4 ~ i"),
    "ranges": gather("range(99999)|list"),
    "batch": "{{ ([0] * 10 ** 6)|batch(1)|list|length }}",
    "filled batch": "{{ [0]|batch(10 ** 17, 'x')|list|length }}",
    "map": "{{ ([''] * 10 ** 6)|map('upper')|list|length }}",
    "dicts": gather("dict(range(99998)|batch(2))"),
    "keyed dicts": gather("{'x' * 10 ** 6 ~ i: 1}"),
    "captures": "{% set n = namespace(l=[]) %}{% for i in range(99999) %}{% set x %}"
                "{{ 'x' * 10 ** 6 }}{% endset %}{% set n.l = n.l + [x] %}{% endfor %}",
    "results of macros": gather("m()", "{% macro m() %}{{ 'x' * 10 ** 6 }}{% endmacro %}"),
    "arguments of macros": "{% macro m(x) %}{{ m(x ~ 'y' * 10 ** 6) }}{% endmacro %}{{ m('') }}",
    "open arguments": "{% macro m() %}{{ m(" + "1," * 50000 + "1) }}{{ varargs|length }}"
                      "{% endmacro %}{{ m() }}",
    "open captures": "{% macro m() %}{{ 'x' * 10 ** 6 }}{{ m() }}{% endmacro %}{{ m() }}",
    "scopes of macros": forever("", "{% set b = 'x' * 10 ** 4 %}{% macro m() %}{% endmacro %}"),
    "namespaces": forever("", "{% set n = namespace(x='x' * 10 ** 4) %}"),
    "joiners": gather("joiner('x' * 10 ** 6)"),
    "changed": "{% set a = 'x' * 10 ** 7 %}{% for i in [1] %}"
               "{% if loop.changed(a, a, a, a, a, a, a) %}{% endif %}{% endfor %}",
    "message": "{{ raise_exception('x' * 6 * 10 ** 7) }}",
}

CASES = ([pytest.param(source, TIME, id=f"slow {name}") for name, source in SLOW.items()]
         + [pytest.param(source, MEMORY, id=f"large {name}") for name, source in LARGE.items()])


@pytest.fixture
def render(gallop, tmp_path):
    """What the program makes of a template, without messages."""
    def run(source):
        (tmp_path / "chat_template.jinja").write_text(source)
        (tmp_path / "messages.json").write_text("[]")
        command = ["sh", "-c", 'ulimit -v "$0"; exec "$@"', ADDRESS_SPACE_KB, gallop, "render",
                   "--model", tmp_path, "--messages", tmp_path / "messages.json"]
        return subprocess.run([str(part) for part in command], capture_output=True, text=True,
                              timeout=60)
    return run


def processor_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("source, limit", CASES)
def test_limit_is_named(render, tmp_path, source, limit):
    start = processor_seconds()
    done = render(source)
    seconds = processor_seconds() - start
    assert (done.returncode, done.stdout) == (1, ""), done.stderr[:500]
    template = tmp_path / "chat_template.jinja"
    assert done.stderr == f"gallop: {template}: chat template, line 1: {limit}\n"
    assert seconds < SECONDS_MAX


# What costs the parser most: small expressions, side by side and within each other.
@pytest.mark.parametrize("unit", ["1,", "a(),", "'',", "-" * 150 + "1,", "[" * 50 + "]" * 50 + ",",
                                  "a[:],", "a|b,", "1 is a,"])
def test_largest_source_fits(render, unit):
    limit = 512 * 1024
    source = "{% if 0 %}{{ [" + unit * ((limit - 40) // len(unit)) + "] }}{% endif %}ok"
    done = render(source)
    assert (done.returncode, done.stdout) == (0, "ok"), done
    done = render(source.ljust(limit + 1))
    assert done.returncode == 1
    assert f"{limit + 1} bytes, the limit is {limit}" in done.stderr
