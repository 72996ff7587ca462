"""Small templates: each exercises one rule of Jinja2 or of Python's text of a value.

They see s = "Hello Wörld", l = [3, 1, 2], d = {"b": 1, "a": None}, f = 2.5, e = [], t = true.
"""

EXPRESSIONS = r"""
s | s[0] | s[-1] | s[99] | s[1:3] | s[::-1] | s[7:] | s|length | s|upper | s|title | s|list
s.split() | s.nothing | s.split('l') | s.rsplit('l', 1) | s.partition('o') | s.rpartition('zz')
s.replace('l', 'L', 1) | s.find('ö') | s.rfind('l') | s.center(20, '*') | s.ljust(15) ~ '.'
'42'.zfill(5) | s.swapcase() | s.startswith(('x', 'He')) | s.endswith('d', 0, 3)
s.removeprefix('Hel') | s.isalpha() | 'abc'.isalpha() | '12'.isdigit() | 'a b'.title()
'-'.join(['a', 'b']) | '-'.join(l) | '{} {}'.format(1, 'x') | '{a}'.format(a=2)
'%s is %d' % ('x', 3) | '%5.2f|%-4s|%x' % (3.14159, 'ab', 255) | '%s' % l | '%d' % 'x' | l | l[0]
l[-1] | l[3] | l['x'] | l.x | l[0:2] | l[::-1] | l + [4] | l * 2 | l.append(4) | l.index(1)
l.count(3) | l.pop() | d | d.a | d.b | d['b'] | d.items() | d.keys() | d.values()|list
d|items|list | d|list | d|length | d.get('zz') | d.get('zz', 5) | d.update({}) | d.zz | d.zz.yy
d['zz'] | d|dictsort | d|tojson | d|tojson(indent=4) | d|tojson(sort_keys=true) | 'a' in d | none
true | t is true | t is sameas true | 1 is sameas 1 | not t | not e | e or 'x' | e and 'x'
t and s | 1 == 1.0 | true == 1 | 1 + 2 * 3 | (1 + 2) * 3 | 2 ** 3 ** 2 | -2 ** 2 | 7 // 2
-7 // 2 | 7 % -3 | 7 / 2 | 1 / 0 | 1 // 0 | 5.5 // 2 | 5.5 % 2 | -5.5 % 2 | 1e3 | 1.0e-10
123456789012345678 | 1e16 | 1e15 | 0.1 | 1_000 | 0x1f | 0b11 | 0o17 | 3.0 * 2 | 1.5 + 1 | 10 - 0.5
2 ** -1 | 'a' + 1 | 'a' ~ 1 ~ none ~ 2.0 | 'a' * 3 | 3 * 'a' | 'a' < 'b' | 'a' < 1 | [1] < [2]
1 < 2 < 3 | 1 < 3 < 2 | 'x' not in s | 'H' in s | 3 in l | missing | missing.x | missing['x']
missing|length | missing|upper | missing + 1 | missing == none | missing == other | missing ~ 'x'
missing is defined | missing is undefined | missing is none | missing is string
missing is iterable | missing is sequence | missing|list | missing|default('d')
none|default('d') | none|default('d', true) | ''|d('x', true) | missing|tojson | missing|join(',')
missing|first | [missing] | {'a': missing} | (missing,) | missing() | -missing | missing|int
missing|string|length | 'x' in missing | missing in l | s is string | l is sequence
l is iterable | d is mapping | d is sequence | d is iterable | s is sequence | 1 is number
true is number | 1 is integer | true is integer | 1.0 is float | 1 is float | none is none
3 is odd | 2 is even | 6 is divisibleby(3) | 6 is divisibleby 4 | true is boolean | 1 is boolean
false is false | 0 is false | 'a' is lower | 'A' is upper | 'a' is in s | 1 is eq 1
1 is not eq 2 | 2 is gt(1) | l|sort | l|sort(reverse=true) | l|reverse|list | l|sum | l|max
l|min | l|first | l|last | l|join('-') | l|join | e|first | e|max | l|unique|list
l|map('string')|list | l|map('float')|list | l|select('odd')|list | l|reject('odd')|list
l|select('gt', 1)|list | l|map('int', base=2)|list | [d, d]|map(attribute='b')|list
[d]|selectattr('a')|list | [d]|selectattr('b', 'eq', 1)|list | [d]|rejectattr('b')|list
[d]|map(attribute='q', default=7)|list | [{'x': {'y': 1}}]|map(attribute='x.y')|list
[[1, 2]]|map(attribute=1)|list | ['b', 'A']|sort | ['b', 'A']|sort(case_sensitive=true)
[{'n': 2}, {'n': 1}]|sort(attribute='n') | l|batch(2)|list | l|batch(2, 0)|list
'a b c'|wordcount | 'aXbX'|replace('X', '-') | 'aXbX'|replace('X', '-', 1) | '  x '|trim
'xxaxx'|trim('x') | '12'|int | '12.7'|int | 'x'|int | 'x'|int(-1) | 'ff'|int(0, 16)
'0x1f'|int(base=16) | none|int | 3.9|int | -3.9|int | '1e3'|int | '1e3'|float | 'inf'|float
3.14159|round(2) | 2.5|round | 3.5|round | 42|round | 2.1|round(0, 'ceil')
1250|round(-2) | 1350|round(-2) | -1250|round(-2) | 9223372036854775804|round(-1) | 7|round(-99)
5|round(-4000) | 5.5|round(-9223372036854775807 - 1) | 1234567890123456789|round(-1)
'ab'.ljust(-9223372036854775807 - 1) ~ 'ab'.zfill(-9223372036854775807 - 1)
'ab'|center(-9223372036854775807)
s|truncate(9223372036854775807) | 2.9|round(method='floor') | 1234|round(-2) | -5|abs | f|abs
s|capitalize | s|truncate(3, leeway=9223372036854775807) | l|truncate(5)
['b', 'A', 'a']|truncate(5) | 5|truncate(1, true, '') | [1, 2, 3, 4]|truncate(1, true, '', 0)
none|indent | 5|indent | none|truncate
1.5|round(308, 'ceil') | 1.5|round(400, 'ceil') | 15|round(308, 'ceil') | 15|round(-400, 'floor')
('12'|safe)|list | ('12'|safe)|list|join('<') | -1e16 // 3.0 | 1e16 // -3.0 | -7.5 // 2.0
-7.5 % 2.0 | 7.5 // -2.0 | -0.0 // 3.0 | '%é' % 1
'hello world-foo (bar'|title | s|center(21) ~ '|' | s|truncate(5) | s|truncate(5, true, '')
'a\nb\n\nc'|indent | 'a\nb'|indent(2, true) | 'a\n\nb'|indent(2, blank=true) | '<a>'|escape
'<a>'|e ~ '<' | '<a>'|safe + '<' | '<a>'|safe ~ '<' | '<'|safe|length | '%s-%s'|format(1, 2)
'%(a)s'|format(a=1) | s|string | 1|string|length | [1, 'a', none, true, 2.0, {'k': [1]}, (1,), ()]
['it\'s'] | ['"'] | ['\'"'] | ['\n\t\\'] | ['é', '\x01', '\u200b'] | {1: 2, 'a': 'b'}
{(1, 2): 3} | {[1]: 2} | 'a' 'b' | "\x41\u00e9\101" | '\d' | 'a' if t else 'b' | 'a' if e
('a' if e) is undefined | 'a' if e else 'b' if t else 'c' | [1, 2,] | (1, 2) | 1, 2 | () | {}
range(3) | range(3)|list | range(1, 4)|list | range(5, 0, -2)|list | range(3)[1] | range(3)[-1]
range(0) is iterable | range(100001)|length | range(3)|length | range(10)[2:4]|list
l|length > 2 and s | l is defined and l|length == 3 | not l is defined | not 1 == 2 | 1 if not e
l[0] if l | (l|length) - 1 | l|length - 1 | -l|length | s.upper().lower()|upper | l.0
d.items()|list|first | (d.items()|list)[0][0] | messages[0].role | messages[0]['content']
messages.0.role | messages|length | d|map('upper')|join | s|map('upper')|join | d|join(',')
dict(a=1, b=2) | dict([('x', 1)]) | dict(d, c=3) | d == {'a': none, 'b': 1} | l == [3, 1, 2]
l == (3, 1, 2) | l != [1] | l|tojson | s|tojson | s|tojson(ensure_ascii=true) | '🚀'|tojson(true)
[1.0, 1e20, none, true]|tojson | (1, 2)|tojson | {1: 2, none: 3, true: 4, 2.5: 'x'}|tojson
'</script>&'|tojson | '\x7f\x1f\b\f'|tojson
{'a': [], 'b': {}, 'c': [1, {'d': 2}]}|tojson(indent=2) | [1, 2]|tojson(separators=(',', ':'))
[1, 2]|tojson(indent='--') | range(3)|tojson | l|map('int')|tojson | d.items()|tojson | l|nofilter
l is notest | nofunction(1) | s.nomethod() | s() | 1() | l|select('notest')|list | loop
namespace(a=1).a | namespace(a=1).b | namespace(a=1) | 'abc'|first | 'abc'|last | 'abc'|reverse
'abc'|sort | 'cab'|unique|list | 'abc'|join('.') | 'abc'|list | {'x': 1}|first | 5|length
5|first | none|length | none|upper | none ~ '' | s|lower|title | s[:5]|upper ~ s[5:]
s.split(' ')[-1] | s.split(' ', 1)[1] | 'a,b,,c'.split(',') | ''.split(',') | ''.split()
' a  b '.split(' ') | 'aaa'.replace('', '-') | 'ab'.count('') | 1 in (1, 2) | 'k' in {'k': 1}
1 in 5 | [1] in [[1]] | 1 in 'x' | none in [none] | '' in 'x' | 1.0 in [1] | 'ß'|upper | 'É'|lower
'x'.join('abc') | 'a\r\nb\x0bc'.splitlines() | 'a\n'.splitlines(true) | l|first|string + 'x'
(l|sort)[0] | l|sort|first | [l, l]|sum(start=[]) | ['a']|sum | d|tojson|length | s|d|default(1)
s|length|string|length | 2 * 3 ~ 4 | 1 + 1 ~ 1 + 1 | t if t is defined and t else 'n'
[1, [2, [3, [4]]]] | l[none:2] | l[:none] | l[5:] | l[-2:] | l[::0] | l['0'] | s['0'] | d[l]
d[0] | d[none] | l[1.0] | l[true] | s[-99:2] | 9223372036854775807 | 0 - 9223372036854775807
5 % 3.5 | 0.0 | -0.0 | 1e300 * 1e10 | 1e308 * 10 - 1e308 * 10 | 2 ** 0.5 | 10 ** 15
100000000000000000000.0 | 1.0e100 | 123456.789e3 | l|groupby(0)
[{'g': 1, 'v': 2}, {'g': 1, 'v': 3}]|groupby('g') | d|attr('b') | s|attr('upper') is callable
none|select|list | 0|map('nope')|list | none|map(attribute='x')|list
none|selectattr('x')|list | 0|rejectattr|list | missing|map('upper')|list | 'x'|attr('nope')
raise_exception('boo') | l|list|length | [1, true, 'a']|select('string')|list
"""

STATEMENTS = [
    '{% for x in l %}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}',
    '{% for x in e %}x{% else %}none{% endfor %}',
    '{% for x in l if x > 1 %}{{ loop.index }}:{{ x }}/{{ loop.length }} {% endfor %}',
    '{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}',
    '{% for k, v in d|items %}{{ k }}={{ v }};{% endfor %}',
    '{% for k in d %}{{ k }}{% endfor %}{% for c in s %}{{ c }}.{% endfor %}',
    '{% for a, b in l %}{% endfor %}',
    '{% for x in 5 %}{% endfor %}',
    '{% for x in none %}{% endfor %}',
    '{% for x in missing %}x{% else %}empty{% endfor %}',
    ("{% for x in l %}{{ loop.cycle('a', 'b') }}{{ loop.changed(x > 1) }}{{ loop.depth }}"
     '{% endfor %}'),
    ('{% for x in l %}{% for y in l %}{{ loop.index }}{{ loop.depth0 }}{% endfor %}'
     '{{ loop.revindex0 }}|{% endfor %}'),
    '{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}',
    '{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}',
    '{% for x in l %}{{ loop.previtem }}-{{ loop.nextitem }} {% endfor %}',
    '{% for x in l %}{{ loop.previtem + 1 }}{% endfor %}',
    '{% break %}',
    '{% for x in l %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}',
    '{% set x = 1 %}{% if t %}{% set x = 2 %}{% endif %}{{ x }}',
    '{% set x = 1 %}{% for i in l %}{% set x = x + i %}{{ x }},{% endfor %}{{ x }}',
    ('{% set ns = namespace(x=1) %}{% for i in l %}{% set ns.x = ns.x + i %}{% endfor %}'
     '{{ ns.x }}{{ ns }}'),
    '{% set d.x = 1 %}',
    '{% set missing.x = 1 %}',
    '{% set ns = namespace(d, z=1) %}{{ ns.b }}{{ ns.z }}',
    '{% set a, b = 1, 2 %}{{ a }}{{ b }}',
    '{% set (a, b) = l %}',
    '{% set a = 1, 2 %}{{ a }}',
    '{% set x %}block {{ s }}{% endset %}{{ x }}|{{ x|length }}',
    "{% set x | upper | replace('L', '1') %}block{{ s }}{% endset %}{{ x }}",
    '{% set true = 1 %}',
    '{% set x = %}',
    '{% set x %}',
    '{{ ',
    '{% if %}',
    '{% if t %}',
    '{% endif %}',
    '{% foo %}',
    '{{ 1 + }}',
    "{{ 'a }}",
    '{{ (1 }}',
    '{{ 1) }}',
    '{{ [1, 2 }}',
    '{{ a b }}',
    '{{ }}',
    '{# open',
    '{% raw %}{{ x }}{% endraw %}',
    '{% raw %}open',
    'a{%- raw -%} b {%- endraw -%} c',
    '{% raw -%}\n x\n{%- endraw %}',
    ('{% macro m(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }}{{ m(1, c=5) }}'
     '{{ m(b=1, a=0) }}'),
    '{% macro m(a) %}[{{ a }}]{% endmacro %}{{ m() }}{{ m(1, 2) }}',
    '{% macro m(a) %}[{{ a }}]{% endmacro %}{{ m() }}',
    '{% macro m(a) %}{{ a.x }}{% endmacro %}{{ m() }}',
    '{% macro m(a) %}x{% endmacro %}{{ m(b=1) }}',
    '{% macro m(a) %}x{% endmacro %}{{ m(1, a=1) }}',
    '{% macro m(n) %}{% if n %}{{ n }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(5) }}',
    '{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, x=2) }}',
    '{% macro m() %}{{ y }}{% endmacro %}{% set y = 3 %}{{ m() }}',
    '{% for y in l %}{% macro m() %}{{ y }}{% endmacro %}{{ m() }}{% endfor %}',
    '{% macro m() %}{% set z = 1 %}{{ z }}{% endmacro %}{{ m() }}{{ z }}',
    '{% macro m(a=1, b) %}{% endmacro %}',
    '{% macro m() %}a{% endmacro %}{{ m()|upper ~ m()|length }}',
    '{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}x{{ s }}{% endcall %}',
    ('{% macro m() %}<{{ caller(1, 2) }}>{% endmacro %}{% call(a, b=5) m() %}{{ a }}{{ b }}'
     '{% endcall %}'),
    '{% macro m() %}x{% endmacro %}{% call m() %}y{% endcall %}',
    '{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}',
    '{% filter upper %}a{{ s }}b{% endfilter %}',
    "{% filter replace('a', 'b')|upper %}aXa{% endfilter %}",
    '{% with x = 1, y = x %}{{ x }}{{ y }}{% endwith %}{{ x }}',
    '{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q }}',
    '{% generation %}{% set g = 1 %}{{ g }}{% endgeneration %}{{ g }}',
    '  {% if t %}\n  a\n  {% endif %}\nb',
    'x  {% if t %}  a  {% endif %}  b',
    '  {%- if t -%}  a  {%- endif -%}  b',
    '  {%+ if t %}\na\n  {%+ endif %}\nb',
    '{% if t +%}\na{% endif +%}\nb',
    'a\n{# c #}\nb',
    'a {#- c -#} b',
    '  {# c #}  \nb',
    'a\n\n  {{- s -}}  \n\nb',
    '  {{ s }}\n',
    'a\n',
    'a\n\n',
    '\na',
    'a\r\nb\r\n',
    'a\rb',
    "{{ 'a\r\nb'|length }}",
    '{% if t %}\n\n a {% endif %}',
    '{% if t %} \n a {% endif %}',
    'a\n  \t{% if t %}b{% endif %}',
    "{{- '' }} a",
    '{% if e %}1{% elif l %}2{% else %}3{% endif %}',
    '{% if l|length > 5 %}1{% elif 0 %}2{% else %}3{% endif %}',
    '{% if 1 if t else 0 %}a{% endif %}',
    "{{ {'a': {'b': 1}}.a.b }}",
    "{{ {'a': 1}}}",
    "{{ '}}' }}",
    "{{ '%}' }}{% if '%}' %}x{% endif %}",
    ("{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }"
     '}{{ c.reset() }}'),
    "{% set j = joiner('|') %}{% for x in l %}{{ j() }}{{ x }}{% endfor %}",
    "{% set g = l|map('string') %}{{ g|join }}{{ g|join }}",
    "{% if l|select('gt', 9) %}always{% endif %}",
    "{% set f = s.split %}{{ f('l') }}",
    '{{ s.split is callable }}{{ s.upper is defined }}{{ l.append is defined }}',
    '{{ loop }}{% for x in l %}{{ loop is defined }}{% endfor %}',
    ('{% for m in messages %}{{ m.role }}:{{ m.content }}{% if m.tool_calls %}x{% endif %}'
     "{{ m.get('x', 'y') }}{% endfor %}"),
    ("{% if messages[0]['role'] == 'system' %}a{% else %}{% set loop_messages = messages %}"
     '{{ loop_messages|length }}{% endif %}'),
    ('{{ bos_token }}{{ eos_token }}{{ pad_token }}{{ tools }}{{ documents }}'
     '{{ add_generation_prompt }}'),
    ("{{ 'a' if messages is defined and messages|selectattr('role', 'eq', 'user')|list|lengt"
     "h == 1 else 'b' }}"),
    '{%- for x in l -%}\n  {{ x }}\n{%- endfor -%}\n end',
    "é{{ 'é' }}{# é #}{% set é = 1 %}{{ é }}",
    '{{ s\n  |\n upper }}',
    '{{ d\n.b }}',
    '{%\nif t\n%}x{%\nendif\n%}',
    '{{ l\n[0] }}',
    "{{ not_a_function('x') if false else 'ok' }}",
    "{{ (d.zz).yy if d.zz is defined else 'no' }}",
]


def expressions():
    """The alternatives between blank-padded bars; a bar that belongs to a filter has no blanks."""
    return [part.strip() for line in EXPRESSIONS.strip().split("\n") for part in line.split(" | ")]


SNIPPETS = ["{{ " + text + " }}" for text in expressions()] + STATEMENTS
