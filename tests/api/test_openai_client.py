"""The newest `openai` client against the server: what agents and chat programs rely on."""

import json

import openai
import pytest
import requests
from serving import running_server

QUESTION = [{"role": "user", "content": "What is 17 + 25?"}]
STORY = [{"role": "user", "content": "Tell me a short story about a fox."}]
THINKING_OFF = {"chat_template_kwargs": {"enable_thinking": False}}


def ask(client, messages=None, **options):
    options.setdefault("temperature", 0)
    return client.chat.completions.create(model="foal", messages=messages or QUESTION, **options)


def joined(stream):
    """What a stream adds up to: {choice index: {field: text}} and its other properties."""
    choices, usage, chunks = {}, None, 0
    for chunk in stream:
        chunks += 1
        if chunk.usage:
            assert chunk.choices == []
            usage = chunk.usage
        for choice in chunk.choices:
            new = choice.index not in choices
            seen = choices.setdefault(
                choice.index, {"content": "", "reasoning": "", "finish": [], "calls": {}})
            assert choice.delta.role == ("assistant" if new else None)
            seen["content"] += choice.delta.content or ""
            seen["reasoning"] += getattr(choice.delta, "reasoning", None) or ""
            if choice.finish_reason:
                seen["finish"].append(choice.finish_reason)
            for call in choice.delta.tool_calls or []:
                empty = {"id": "", "name": "", "arguments": ""}
                entry = seen["calls"].setdefault(call.index, empty)
                entry["id"] += call.id or ""
                entry["name"] += call.function.name or ""
                entry["arguments"] += call.function.arguments or ""
    return choices, usage, chunks


def test_model_list(client):
    models = client.models.list().data
    assert [model.id for model in models] == ["foal"]
    assert models[0].max_model_len > 1000
    assert client.models.retrieve("foal").id == "foal"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("other")


def complete_item(reference_items, thinking):
    """An item that PyTorch answered to the end, without tools."""
    return next(item for item in reference_items
                if item["tools"] is None and item["correct"]
                and item["enable_thinking"] == thinking)


@pytest.mark.parametrize("thinking", [True, False])
def test_streamed_equals_whole(client, reference_items, thinking):
    item = complete_item(reference_items, thinking)
    options = {"messages": item["messages"], "extra_body": {
        "return_token_ids": True, "chat_template_kwargs": {"enable_thinking": thinking}}}
    whole = ask(client, **options)
    message = whole.choices[0].message
    assert whole.choices[0].token_ids == item["greedy_ids"]
    assert message.content
    assert bool(message.reasoning) == thinking
    assert message.reasoning_content == message.reasoning
    assert whole.choices[0].finish_reason == "stop"
    choices, usage, _ = joined(
        ask(client, stream=True, stream_options={"include_usage": True}, **options))
    assert choices[0]["content"] == message.content
    assert choices[0]["reasoning"] == (message.reasoning or "")
    assert choices[0]["finish"] == ["stop"]
    assert usage == whole.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_no_usage_unless_asked(client):
    _, usage, _ = joined(ask(client, stream=True))
    assert usage is None


def test_ids_equal_the_reference(client, reference_items, full):
    items = reference_items if full else reference_items[::21]
    for item in items:
        # The reference holds arguments as objects, which the server takes too.
        reply = ask(client, item["messages"], max_tokens=96, extra_body={
            "tools": item["tools"], "return_token_ids": True,
            "chat_template_kwargs": {"enable_thinking": item["enable_thinking"]}})
        assert reply.prompt_token_ids == item["prompt_ids"], item["id"]
        assert reply.choices[0].token_ids == item["greedy_ids"], item["id"]


def tool_item(reference_items):
    return next(item for item in reference_items
                if item["task"] == "tool_call" and item["correct"] and item["enable_thinking"])


def test_tool_call(client, reference_items):
    item = tool_item(reference_items)
    reply = ask(client, item["messages"], tools=item["tools"])
    choice = reply.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    call, = choice.message.tool_calls
    described = {tool["function"]["name"]: tool["function"] for tool in item["tools"]}
    schema = described[call.function.name]["parameters"]
    arguments = json.loads(call.function.arguments)
    assert set(schema["required"]) <= set(arguments)
    types = {"string": str, "integer": int, "boolean": bool, "number": (int, float)}
    for name, value in arguments.items():
        assert isinstance(value, types[schema["properties"][name]["type"]]), (name, value)
    choices, _, _ = joined(ask(client, item["messages"], tools=item["tools"], stream=True))
    assert choices[0]["finish"] == ["tool_calls"]
    streamed = choices[0]["calls"][0]
    assert streamed["id"]
    assert (streamed["name"], streamed["arguments"]) == (call.function.name,
                                                         call.function.arguments)


def test_tool_result_goes_back(client, reference_items):
    item = tool_item(reference_items)
    call = ask(client, item["messages"], tools=item["tools"]).choices[0].message
    messages = item["messages"] + [
        call.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.tool_calls[0].id, "content": "done"}]
    reply = ask(client, messages, tools=item["tools"])
    assert reply.choices[0].message.content


def test_stop_string(client):
    whole = ask(client, STORY, max_tokens=60, extra_body=THINKING_OFF).choices[0].message.content
    stop = whole.split()[4]
    for stream in (False, True):
        if stream:
            choices, _, _ = joined(ask(client, STORY, stop=[stop], stream=True,
                                       extra_body=THINKING_OFF))
            text, finish = choices[0]["content"], choices[0]["finish"]
        else:
            choice = ask(client, STORY, stop=stop, extra_body=THINKING_OFF).choices[0]
            assert choice.stop_reason == stop
            text, finish = choice.message.content, [choice.finish_reason]
        assert text == whole[:whole.index(stop)]
        assert finish == ["stop"]


def test_stop_string_in_what_was_held_back(client, decode):
    """A token that is half a character gives U+FFFD when the answer ends, and that may stop it."""
    half = next(id for id in range(4000) if decode([id]) == "\ufffd")
    choice = ask(client, max_tokens=1, temperature=0, stop=["\ufffd"],
                 logit_bias={str(half): 100}).choices[0]
    assert choice.finish_reason == "stop" and choice.stop_reason == "\ufffd"


def test_max_tokens(client):
    reply = ask(client, STORY, max_completion_tokens=5)
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage.completion_tokens == 5


def test_seed_and_choices(client):
    # foal is sure of itself: only a hot and uncut distribution gives several answers.
    options = {"temperature": 2, "top_p": 1, "seed": 11, "max_tokens": 16,
               "extra_body": {**THINKING_OFF, "top_k": 0}}
    three = ask(client, STORY, n=3, **options)
    assert [choice.index for choice in three.choices] == [0, 1, 2]
    texts = [choice.message.content for choice in three.choices]
    assert len(set(texts)) > 1
    assert three.usage.completion_tokens <= 3 * 16
    assert [c.message.content for c in ask(client, STORY, n=3, **options).choices] == texts
    assert ask(client, STORY, **options).choices[0].message.content == texts[0]
    streamed, _, _ = joined(ask(client, STORY, n=3, stream=True, **options))
    assert [streamed[index]["content"] for index in range(3)] == texts


def test_disconnect_in_mid_stream(gallop, foal, reference_items):
    """The server goes on, and the abandoned answer gives up the only place for a request."""
    item = complete_item(reference_items, True)
    with running_server(gallop, foal, "--max-num-seqs", "1") as (url, _):
        client = openai.OpenAI(base_url=url + "/v1", api_key="none", max_retries=0, timeout=60)
        stream = ask(client, STORY, stream=True, extra_body={"ignore_eos": True})
        for _, chunk in zip(range(3), stream):
            assert chunk.choices
        stream.close()
        reply = ask(client, item["messages"], extra_body={"return_token_ids": True})
        assert reply.choices[0].token_ids == item["greedy_ids"]


BAD_REQUESTS = {
    "temperature out of range": ({"temperature": 3}, 400, "temperature"),
    "wrong type": ({"max_tokens": "many"}, 400, "body.max_tokens"),
    "no messages": ({"messages": []}, 400, "messages"),
    "message without role": ({"messages": [{"content": "hi"}]}, 400, "body.messages.0.role"),
    "unknown role": ({"messages": QUESTION + [{"role": "cat", "content": "x"}]}, 400, None),
    "unknown model": ({"model": "other"}, 404, "model"),
    "image": ({"messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}]}, 400,
        "messages"),
    "arguments that are no JSON": ({"messages": QUESTION + [{"role": "assistant", "tool_calls": [
        {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{"}}]}]}, 400,
        "messages"),
    "context": ({"max_tokens": 10_000_000}, 400, "input_tokens"),
    "long prompt": ({"messages": [{"role": "user", "content": "word " * 50_000}], "stream": True},
                    400, "input_tokens"),
    "several greedy choices": ({"n": 2, "temperature": 0}, 400, "n"),
    "empty stop": ({"stop": ""}, 400, "stop"),
    "empty tools": ({"tools": []}, 400, "tools"),
    "constrained": ({"response_format": {"type": "json_object"}}, 501, None),
    "log probabilities": ({"logprobs": True}, 501, None),
    "stream options alone": ({"stream_options": {"include_usage": True}}, 400, "stream_options"),
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_bad_request(client, server_url, name):
    fields, status, param = BAD_REQUESTS[name]
    body = {"model": "foal", "messages": QUESTION, **fields}
    expected = {400: openai.BadRequestError, 404: openai.NotFoundError,
                501: openai.InternalServerError}
    with pytest.raises(expected[status]):
        client.post("/chat/completions", body=body, cast_to=object)
    reply = requests.post(server_url + "/v1/chat/completions", json=body, timeout=60)
    assert reply.status_code == status
    error = reply.json()["error"]
    assert error["code"] == status
    assert error["param"] == param
    assert error["message"]
    if param == "input_tokens":
        assert error["message"].startswith("This model's maximum context length is ")


def test_bad_bytes(server_url):
    url = server_url + "/v1/chat/completions"
    json_type = {"Content-Type": "application/json"}
    assert requests.post(url, data=b"{", headers=json_type, timeout=60).status_code == 400
    assert requests.post(url, data=b'{"messages": "\xff"}', headers=json_type,
                         timeout=60).status_code == 400
    assert requests.post(url, data=b"[" * 100_000, headers=json_type,
                         timeout=60).status_code == 400
    assert requests.post(url, data=b"hi", headers={"Content-Type": "text/plain"},
                         timeout=60).status_code == 400
    assert requests.post(url, data=b" " * (17 << 20), headers=json_type,
                         timeout=60).status_code == 413
    assert requests.get(url, timeout=60).status_code == 405
    assert requests.get(server_url + "/nothing", timeout=60).status_code == 404
    assert requests.get(server_url + "/health", timeout=60).status_code == 200


def test_keys(gallop, foal):
    with running_server(gallop, foal, "--api-key", "one", "two") as (url, _):
        def client(key):
            return openai.OpenAI(base_url=url + "/v1", api_key=key, max_retries=0)
        for key in ("one", "two"):
            assert client(key).models.list().data
        for key in ("three", "on", "oneone"):
            with pytest.raises(openai.AuthenticationError):
                client(key).models.list()
            with pytest.raises(openai.AuthenticationError):
                ask(client(key))
        refused = requests.get(url + "/v1/models", timeout=60)
        assert refused.status_code == 401
        assert refused.json() == {"error": "Unauthorized"}
        assert requests.get(url + "/v1/models", headers={"x-api-key": "one"},
                            timeout=60).status_code == 200
        assert requests.get(url + "/health", timeout=60).status_code == 200
        preflight = requests.options(url + "/v1/chat/completions", timeout=60, headers={
            "Origin": "http://example.com", "Access-Control-Request-Method": "POST"})
        assert preflight.status_code == 200
        assert preflight.headers["Access-Control-Allow-Origin"] == "*"
