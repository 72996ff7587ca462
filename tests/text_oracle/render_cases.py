"""Conversations, rendered by `gallop render` and by Jinja2 with transformers' settings."""

import datetime
import json
import random
import subprocess

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

TOKENS = {"eos_token": "<|im_end|>", "pad_token": {"content": "<|endoftext|>", "special": True},
          "bos_token": None}


class Generation(jinja2.ext.Extension):
    """{% generation %}: a call block whose body is printed, as in transformers."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("render"), [], [], body).set_lineno(line)

    @staticmethod
    def render(caller):
        return caller()


def environment():
    """The environment that transformers' chat_template_utils sets up."""
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                        extensions=[Generation, jinja2.ext.loopcontrols])

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                          sort_keys=sort_keys)

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda form: datetime.datetime.now().strftime(form)
    return env


TEXTS = ["Hello", "Hi there, how are you?", "  spaced  \n", "", "line one\nline two\n\nline four",
         "Café — κόσμος 🚀", "你好，世界！", "it's \"quoted\" \\ and\ttabbed", "a<b & c>d",
         "{{ not_a_tag }} {% if %} {# no #}", "<tool_response>\nresult\n</tool_response>",
         "<think>\nplan\n</think>\n\nanswer", "</think>x", "<|im_end|>", "\u00a0nbsp\u2003",
         "e\u0301 combining", "\r\nwindows\r\n", "naïve ÉCOLE Straße", "control \x01\x7f\x1b",
         "\u200bzero\ufeffwidth", "%s %d 100%", "'single'", "tail\n"]


class Maker:
    """Conversations from one seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def text(self):
        pick = self.random.random()
        if pick < 0.7:
            return self.random.choice(TEXTS)
        return " ".join(self.random.choice(TEXTS) for _ in range(self.random.randint(2, 5)))

    def scalar(self):
        r = self.random
        return r.choice([r.randint(-10**6, 10**6), r.randint(-2**63, 2**63 - 1), r.uniform(-5, 5),
                         r.choice([0.0, -0.0, 1e16, 1e-5, 123456789.125, 1e22, 5e-324, 1.0]),
                         True, False, None, self.text(), self.text()])

    def value(self, depth=0):
        pick = self.random.random()
        if depth < 3 and pick < 0.2:
            return [self.value(depth + 1) for _ in range(self.random.randint(0, 3))]
        if depth < 3 and pick < 0.4:
            return self.mapping(depth + 1)
        return self.scalar()

    def mapping(self, depth):
        keys = ["city", "unit", "z", "a", "items", "get", "ключ", "k with space", "1", "Upper"]
        keys = self.random.sample(keys, self.random.randint(0, 4))
        return {key: self.value(depth) for key in keys}

    def parts(self):
        def part():
            return self.random.choice([{"type": "text", "text": self.text()},
                                       {"type": "text", "text": self.text()}, {"type": "image"},
                                       {"type": "image_url", "image_url": {"url": "x"}},
                                       {"type": "video", "video": "v.mp4"}, {"type": "odd"}])
        return [part() for _ in range(self.random.randint(0, 3))]

    def content(self):
        pick = self.random.random()
        return self.text() if pick < 0.85 else self.parts() if pick < 0.97 else None

    def tool(self):
        return {"type": "function", "function": {
            "name": self.random.choice(["weather", "search", "do_it"]), "description": self.text(),
            "parameters": {"type": "object", "properties": self.mapping(0), "required": ["a"]}}}

    def assistant(self):
        message = {"role": "assistant", "content": self.content()}
        if self.random.random() < 0.3:
            message["reasoning_content"] = self.random.choice([self.text(), self.text(), None])
        if self.random.random() < 0.4:
            message["tool_calls"] = [
                {"id": f"call_{i}", "type": "function",
                 "function": {"name": f"f{i}", "arguments": self.mapping(0)}}
                for i in range(self.random.randint(0, 3))]
        return message

    def conversation(self):
        r = self.random
        messages = []
        if r.random() < 0.4:
            messages.append({"role": "system", "content": self.content()})
        for _ in range(r.randint(0 if r.random() < 0.1 else 1, 4)):
            messages.append({"role": "user", "content": self.content()})
            if r.random() < 0.7:
                messages.append(self.assistant())
            for _ in range(r.choice([0, 0, 0, 1, 2])):
                messages.append({"role": "tool", "content": self.text()})
        if r.random() < 0.03:
            messages.append({"role": r.choice(["system", "developer"]), "content": "late"})
        case = {"messages": messages}
        if r.random() < 0.4:
            case["tools"] = [self.tool() for _ in range(r.randint(0, 3))]
        kwargs = {}
        if r.random() < 0.5:
            kwargs["enable_thinking"] = r.random() < 0.5
        if r.random() < 0.2:
            kwargs["add_generation_prompt"] = r.random() < 0.5
        if r.random() < 0.2:
            kwargs["add_vision_id"] = True
        if r.random() < 0.2:
            kwargs["preserve_thinking"] = r.random() < 0.5
        if r.random() < 0.2:
            kwargs["reasoning_effort"] = r.choice(["xhigh", "medium", "low", "high"])
        if kwargs:
            case["kwargs"] = kwargs
        return case


class StrictMaker(Maker):
    """Conversations that templates with many rules take, too: a system message at most at the
    front, user and assistant in turn, one call at a time with its result behind it, text alone."""

    def content(self):
        return self.text() or "x"

    def turn(self, number):
        messages = [{"role": "user", "content": self.content()}]
        if self.random.random() < 0.4:
            name, call_id = self.random.choice(["weather", "search"]), f"call{number:05}"
            call = {"type": "function", "id": call_id,
                    "function": {"name": name, "arguments": self.mapping(0)}}
            messages.append({"role": "assistant", "content": "", "tool_calls": [call]})
            messages.append({"role": "tool", "name": name, "tool_call_id": call_id,
                             "content": self.content()})
        messages.append({"role": "assistant", "content": self.content()})
        if self.random.random() < 0.3:
            messages[-1]["reasoning_content"] = self.text()
        return messages

    def conversation(self):
        r = self.random
        messages = []
        if r.random() < 0.3:
            messages.append({"role": "system", "content": self.content()})
        for number in range(r.randint(0, 3)):
            messages += self.turn(number)
        case = {"messages": [*messages, {"role": "user", "content": self.content()}],
                "kwargs": {"date_string": "26 Jul 2026", "bos_token": "<s>"}}
        if r.random() < 0.5:
            case["tools"] = [self.tool() for _ in range(r.randint(1, 3))]
        if r.random() < 0.5:
            case["kwargs"]["enable_thinking"] = r.random() < 0.5
        if r.random() < 0.2:
            case["kwargs"]["add_generation_prompt"] = False
        return case


def expected(template, case):
    """What Jinja2 renders, or None where it fails."""
    tokens = {key: value["content"] if isinstance(value, dict) else value
              for key, value in TOKENS.items() if value is not None}
    variables = {**tokens, "messages": case["messages"], "tools": case.get("tools"),
                 "documents": None, "add_generation_prompt": True, **case.get("kwargs", {})}
    try:
        return template.render(**variables)
    except (jinja2.exceptions.TemplateError, TypeError, ValueError, LookupError, ArithmeticError):
        return None


def render_all(gallop, directory, cases):
    """One {"prompt"} or {"error"} per case, from the program."""
    batch = directory / "cases.jsonl"
    batch.write_text("".join(json.dumps(case) + "\n" for case in cases), encoding="utf-8")
    done = subprocess.run([gallop, "render", "--model", directory, "--batch", batch],
                          capture_output=True, timeout=300, check=False)
    lines = [json.loads(line) for line in done.stdout.decode("utf-8").split("\n") if line]
    assert len(lines) == len(cases), done.stderr.decode("utf-8", "replace")
    assert done.returncode == (1 if any("error" in line for line in lines) else 0)
    return lines


def model_directory(path, source):
    """A directory that holds only what `render` needs."""
    (path / "chat_template.jinja").write_bytes(source.encode("utf-8"))
    (path / "tokenizer_config.json").write_text(json.dumps(TOKENS), encoding="utf-8")
    return path


def compare(gallop, directory, source, cases):
    """Renders the cases in both; returns how many prompts were equal."""
    template = environment().from_string(source)
    rendered = 0
    for case, line in zip(cases, render_all(gallop, model_directory(directory, source), cases),
                          strict=True):
        want = expected(template, case)
        assert line.get("prompt") == want, f"{line.get('error')}\n{json.dumps(case)}"
        rendered += want is not None
    return rendered
