"""Renders templates and small expressions with Jinja2, set up as the transformers library sets it up, into TemplateFixtures/templates.json.

    pip install jinja2==3.1.6 && python make-template-fixtures.py
"""

import json
import pathlib
import sys
from datetime import datetime

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(jinja2.ext.Extension):
    """{% generation %}: its place in the text is told by marks, which are taken out again."""

    tags = {"generation"}
    marks = ("\x01", "\x02")

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_marked"), [], [], body).set_lineno(line)

    def _marked(self, caller):
        return self.marks[0] + caller() + self.marks[1]


def refuse(message):
    raise jinja2.exceptions.TemplateError(message)


def to_json(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


environment = ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
)
environment.filters["tojson"] = to_json
environment.globals["raise_exception"] = refuse
environment.globals["strftime_now"] = lambda form: datetime(2025, 3, 7, 14, 5, 9).strftime(form)


def outcome(source, variables):
    try:
        text = environment.from_string(source).render(**variables)
    except jinja2.exceptions.TemplateSyntaxError:
        return {"fails": "syntax"}
    except Exception as error:  # the class of the failure is compared, not its words
        return {"fails": "refused" if type(error) is jinja2.exceptions.TemplateError else "evaluation"}
    ranges, plain = [], b""
    for part in text.split("\x01"):
        if "\x02" in part:
            inside, part = part.split("\x02")
            ranges.append([len(plain), len(plain) + len(inside.encode())])
            plain += inside.encode()
        plain += part.encode()
    return {"text": plain.decode(), "ranges": ranges}


TEMPLATES = {
    "chatml": """{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
""",
    "llama-2": """{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set system = messages[0]['content'] %}{% else %}{% set rest = messages %}{% set system = false %}{% endif %}
{% for message in rest %}
    {% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{ raise_exception('roles must alternate user/assistant') }}
    {% endif %}
    {% if loop.index0 == 0 and system != false %}
        {% set content = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + message['content'] %}
    {% else %}
        {% set content = message['content'] %}
    {% endif %}
    {% if message['role'] == 'user' %}
        {{ bos_token + '[INST] ' + content | trim + ' [/INST]' }}
    {% elif message['role'] == 'assistant' %}
        {{ ' '  + content | trim + ' ' + eos_token }}
    {% endif %}
{% endfor %}""",
    "llama-3": """{%- set loop_messages = messages -%}
{%- for message in loop_messages %}
    {%- set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' -%}
    {%- if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}
    {{- content }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
""",
    "llama-3-tools": """{{- bos_token }}
{%- if custom_tools is defined %}{%- set tools = custom_tools %}{%- endif %}
{%- if not tools_in_user_message is defined %}
    {%- set tools_in_user_message = true %}
{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}{%- set date_string = strftime_now("%d %b %Y") %}{%- else %}{%- set date_string = "26 Jul 2024" %}{%- endif %}
{%- endif %}
{%- if not tools is defined %}{%- set tools = none %}{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\nCutting Knowledge Date: December 2023\\nToday Date: " + date_string + "\\n\\n" + system_message + "<|eot_id|>" }}
{%- if tools_in_user_message and not tools is none %}
    {%- if messages | length != 0 %}
        {%- set first_user_message = messages[0]['content']|trim %}
        {%- set messages = messages[1:] %}
    {%- else %}
        {{- raise_exception("there is no first user message") }}
    {%- endif %}
    {{- '<|start_header_id|>user<|end_header_id|>\\n\\n' -}}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
    {{- first_user_message + "<|eot_id|>"}}
{%- endif %}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}{{- raise_exception("one call at once") }}{%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '{"name": "' + tool_call.name + '", "parameters": ' }}
        {{- tool_call.arguments | tojson }}
        {{- "}<|eot_id|>" }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\\n\\n" }}
        {%- if message.content is mapping or message.content is iterable %}{{- message.content | tojson }}{%- else %}{{- message.content }}{%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}
""",
    "deepseek-llm": """{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ 'User: ' + message['content'] + '\\n\\n' }}{% elif message['role'] == 'assistant' %}{{ 'Assistant: ' + message['content'] + eos_token }}{% elif message['role'] == 'system' %}{{ message['content'] + '\\n\\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}""",
    "deepseek-v3": """{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{% set ns = namespace(is_first=false, is_tool=false, is_output_first=true, system_prompt='') %}{%- for message in messages %}{%- if message['role'] == 'system' %}{% set ns.system_prompt = message['content'] %}{%- endif %}{%- endfor %}{{bos_token}}{{ns.system_prompt}}{%- for message in messages %}{%- if message['role'] == 'user' %}{%- set ns.is_tool = false -%}{{'<｜User｜>' + message['content']}}{%- endif %}{%- if message['role'] == 'assistant' and message['content'] is none %}{%- set ns.is_tool = false -%}{%- for tool in message['tool_calls']%}{%- if not ns.is_first %}{{'<｜Assistant｜><｜tool▁calls▁begin｜>' + tool['type'] + '<｜tool▁sep｜>' + tool['function']['name'] + '\\n' + '```json' + '\\n' + tool['function']['arguments']|tojson + '\\n' + '```' + '<｜tool▁call▁end｜>'}}{%- set ns.is_first = true -%}{%- else %}{{'\\n' + tool['type']}}{%- endif %}{%- endfor %}{{'<｜tool▁calls▁end｜><｜end▁of▁sentence｜>'}}{%- endif %}{%- if message['role'] == 'assistant' and message['content'] is not none %}{%- if ns.is_tool %}{{'<｜tool▁outputs▁end｜>' + message['content'] + '<｜end▁of▁sentence｜>'}}{%- set ns.is_tool = false -%}{%- else %}{% set content = message['content'] %}{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{'<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>'}}{%- endif %}{%- endif %}{%- if message['role'] == 'tool' %}{%- set ns.is_tool = true -%}{%- if ns.is_output_first %}{{'<｜tool▁outputs▁begin｜>' + message['content']}}{%- set ns.is_output_first = false %}{%- else %}{{'\\n' + message['content']}}{%- endif %}{%- endif %}{%- endfor -%}{% if ns.is_tool %}{{'<｜tool▁outputs▁end｜>'}}{% endif %}{% if add_generation_prompt and not ns.is_tool %}{{'<｜Assistant｜><think>\\n'}}{% endif %}""",
    "qwen-2": """{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\\n' + (message['content'] or '')}}{% if (loop.last and add_generation_prompt) or not loop.last %}{{ '<|im_end|>' + '\\n'}}{% endif %}{% endfor %}
{% if add_generation_prompt and messages[-1]['role'] != 'assistant' %}{{ '<|im_start|>assistant\\n' }}{% endif %}""",
    "qwen-2.5": """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {{- "# Tools\\n\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
        {%- if message.content %}{{- '\\n' + message.content }}{%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}{%- set tool_call = tool_call.function %}{%- endif %}
            {{- '\\n<tool_call>\\n{"name": "' }}
            {{- tool_call.name }}
            {{- '", "arguments": ' }}
            {{- tool_call.arguments | tojson }}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}{{- '<|im_start|>user' }}{%- endif %}
        {{- '\\n<tool_response>\\n' }}
        {{- message.content }}
        {{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}{{- '<|im_end|>\\n' }}{%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
""",
    "qwen-3": """{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}{%- set content = message.content %}{%- else %}{%- set content = '' %}{%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
{%- endif %}""",
    "mistral": """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace(index=0) %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("roles must alternate") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and tools is defined and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}{{- '"' + key + '": "' + val + '"' }}{%- else %}{{- '"' + key + '": ' + val|tojson }}{%- endif %}
                    {%- if not loop.last %}{{- ", " }}{%- endif %}
                {%- endfor %}
                {{- "}}" }}
                {%- if not loop.last %}{{- ", " }}{%- else %}{{- "]" }}{%- endif %}
            {%- endfor %}
            {{- "[/AVAILABLE_TOOLS]" }}
        {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message["role"] == "assistant" and message.content %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- elif message.role == "tool" %}
        {%- set content = message.content.content if message.content is mapping and message.content.content is defined else message.content %}
        {{- '[TOOL_RESULTS] {"content": ' + content|string + "}[/TOOL_RESULTS]" }}
    {%- endif %}
{%- endfor %}
""",
    "zephyr": """{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>\\n'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}""",
    "gemma": """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}""",
    "gemma-parts": """{{ bos_token }}
{%- for message in messages -%}
    {%- set role = "model" if message['role'] == 'assistant' else message['role'] -%}
    {{ '<start_of_turn>' + role + '\\n' }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}{{ '<start_of_image>' }}{%- elif item['type'] == 'text' -%}{{ item['text'] | trim }}{%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception("invalid content type") }}
    {%- endif -%}
    {{ '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model\\n'}}
{%- endif -%}
""",
    "generation": """{%- for message in messages -%}
{%- if message.role == 'assistant' -%}
<|assistant|>{% generation %}{{ message.content }}{{ eos_token }}{% endgeneration %}
{% else %}
<|{{ message.role }}|>{{ message.content }}
{% endif %}
{%- endfor -%}""",
    "macros": """{#- a comment -#}
{%- macro role(message, mark='|') -%}
    <{{ mark }}{{ message.role | upper }}{{ mark }}>
{%- endmacro -%}
{%- macro content(value) -%}
  {%- if value is string -%}{{ value }}
  {%- elif value is none -%}
  {%- else -%}
    {%- for part in value -%}{{ content(part.text | default('?')) }}{%- endfor -%}
  {%- endif -%}
{%- endmacro -%}
{%- set header -%}
Today: {{ strftime_now('%A %d %B %Y, %H:%M') }}
{%- endset -%}
{{ header }}
  {%- for message in messages if message.role != 'system' %}
    {%- if loop.index > 4 %}{% break %}{% endif %}
    {%- if message.content is none %}{% continue %}{% endif %}

{{ role(message, mark='#') }} {{ content(message.content) }}{{ ',' if not loop.last else '.' -}}
    {%- if loop.nextitem is defined %} next {{ loop.nextitem.role }}{% endif %}
    {%- if loop.previtem is defined %} before {{ loop.previtem.role }}{% endif %}
  {%- else %}nobody spoke
  {%- endfor %}
""",
}

CONVERSATIONS = [
    [{"role": "user", "content": "  Hello, wörld! 👋🏽\n"}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1+1?"}],
    [
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\n Because. "},
        {"role": "user", "content": "e\u0301 and \u00e9 | <b>&\"quotes\"</b>"},
    ],
    [
        {"role": "system", "content": "S\r\nT"},
        {"role": "user", "content": "A"},
        {"role": "assistant", "content": "B"},
        {"role": "user", "content": "C"},
        {"role": "assistant", "content": "<think>x</think>D"},
    ],
    [{"role": "user", "content": "A"}, {"role": "user", "content": "B"}],
    [
        {"role": "user", "content": "weather?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"type": "function", "function": {"name": "weather", "arguments": {"city": "Genève", "days": [1, 2.5, None, True]}}}
            ],
        },
        {"role": "tool", "content": "sunny"},
        {"role": "assistant", "content": "Sunny."},
    ],
    [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": " what is this? "}]}],
    [],
]

TOOLS = [
    {"type": "function", "function": {"name": "weather", "description": "It \"tells\" é", "parameters": {"type": "object", "properties": {}}, "return": 1}}
]

VALUES = {
    "s": "  Héllo World  ",
    "t": "a,b,,c",
    "e": "",
    "n": 7,
    "f": 2.5,
    "z": None,
    "yes": True,
    "l": [3, 1, 2],
    "w": ["pear", "Apple", "fig", "apple"],
    "d": {"b": 1, "a": {"x": "ü", "items": 5}, "keys": "mine"},
    "m": [{"name": "x", "v": 2, "on": True}, {"name": "y", "v": 1, "on": False}, {"name": "z", "v": 2}],
    "emoji": "👨‍👩‍👧 e\u0301\r\nß ΟΔΟΣ",
}

EXPRESSIONS = r"""
1 + 2 * 3 - 4 // 3 % 2
-7 // 2
-7 % 3
7 % -3
2 ** 10
-2 ** 2
7 / 2
6 / 2
1e16
1e-5
123456789012345680.0
0.1 + 0.2
1e15
100.0 // 7
-7.5 % 2
5 // 0
1_000
true + 1
not true
'a' ~ 1 ~ none ~ 2.0 ~ true
'a' 'b'
'ab' * 3
[1] * 2 + [0]
'a' + 1
1 < 2 < 3
3 > 2 > 2
1 == 1.0
true == 1
'1' == 1
none == none
'b' > 'a'
[1,2] < [1,3]
1 < 'a'
'ell' in 'hello'
'x' not in 'hello'
1 in l
'b' in d
z in l
1 in 'abc'
x in l
'a' in x
'' in ''
1 if false
(1 if false) is defined
1 if true else 2
0 or 'x'
e or z
n and s
not n
x
x.y
x['y']
x ~ 'y'
x + 'y'
x == y
x == none
x | default('dflt')
e | default('dflt')
e | default('dflt', true)
d.a.x
d['a']['x']
d.nope
d.nope.nope
d.keys() | list
d['keys']
d.a['items']
d.a.items()
d.items() | list
d.values() | list
d.get('b')
d.get('q')
d.get('q', 4)
d | items | list
d | length
d | tojson
d | tojson(indent=2)
d | tojson(sort_keys=true)
d | tojson(ensure_ascii=true)
d | tojson(separators=(',', ':'))
[] | tojson(indent=2)
emoji | tojson
emoji | tojson(ensure_ascii=true)
'<b>&\'"' | tojson
x | tojson
2.5 | tojson
[1, 'a', none, true, 1.0, (1,), {}] | tojson
[1, 'a', none, true, 1.0, (1,), {}, x]
['it\'s', "q\"", 'both\'"', '\n\t\\', '\x00\x7f\xa0é']
(1,)
()
{'a': 1, 'b': [2]}
{}
{'a': 1}['a']
{'a': 1}.b
d
range(3)
range(3) | list
range(5, 1, -2) | list
range(1, 3)[1]
l[0]
l[-1]
l[5]
l['x']
l.0
l[1:]
l[:-1]
l[::-1]
l[::2]
l[-2:]
l[5:]
s[2:5]
s[::-1]
emoji[0]
emoji[1:4]
emoji | length
emoji | upper
emoji | lower
emoji | title
emoji | reverse
emoji.split()
emoji.splitlines()
s[99:]
s[0]
n[0]
z[0]
s | trim
s | trim | length
'xxaxx' | trim('x')
s.strip()
s.lstrip()
s.rstrip()
'xyaxy'.strip('xy')
'xyaxy'.rstrip('y')
s.upper()
s | upper
s | lower
s | title
"they're bill's-friends (ok)" | title
"they're bill's-friends (ok)".title()
s | capitalize
s.strip().capitalize()
t.split(',')
t.split(',', 1)
t.rsplit(',', 1)
t.split('')
' a  b '.split()
' a  b c'.split(none, 1)
'a--b'.split('--')[-1]
t.replace(',', ';')
t.replace(',', ';', 1)
t | replace(',', '')
'abc'.replace('', '-')
s.startswith('  H')
s.endswith(('x', ' '))
t.find('b')
t.find('q')
t.index('q')
t.count(',')
'aaa'.count('aa')
'a.b.c'.partition('.')
'a.b.c'.rpartition('.')
'prefix-x'.removeprefix('prefix-')
'x'.join(w)
'123'.isdigit()
'12a'.isdigit()
'abc'.isalpha()
'ABC'.isupper()
'%s is %d' % ('a', 3)
'%s' % 'x'
'%s %s' % ('x',)
s.nope
s.nope()
l.append(4)
d.update({})
w | join
w | join(', ')
m | join(',', attribute='name')
w | first
w | last
[] | first
[] | first is defined
w | sort
w | sort(reverse=true)
w | sort(case_sensitive=true)
m | sort(attribute='v') | map(attribute='name') | list
m | sort(attribute='v', reverse=true) | map(attribute='name') | join
[1, 'a'] | sort
w | unique | list
w | unique(case_sensitive=true) | list
w | map('upper') | list
w | map('replace', 'p', 'P') | list
w | map('length') | sum
m | map(attribute='on', default='no') | list
m | map(attribute='on') | list
m | selectattr('on') | map(attribute='name') | list
m | selectattr('v', 'equalto', 2) | list | length
m | selectattr('v', '==', 1) | list
m | rejectattr('on', 'defined') | list
m | rejectattr('on') | map(attribute='name') | list
l | select('odd') | list
l | reject('odd') | list
[0, 1, '', 'a'] | select | list
l | sum
m | sum(attribute='v')
l | max
l | min
w | min
l | reverse | list
d | dictsort
m | length
n | length
m | map(attribute='name') | length
m | map(attribute='name') | first
m | map(attribute='name') | last
'12' | int
' 12 ' | int
'1.9' | int
'x' | int
'x' | int(5)
2.9 | int
'2.5' | float
'x' | float
n | float
-3 | abs
2.5 | round
3.5 | round
2.4 | round(method='ceil')
n | string
n | string | length
d.a | string
'abc' | list
z | list
'a\nb\n\nc' | indent
'a\nb\n\nc' | indent(2, true)
'a\nb\n\nc' | indent(2, blank=true)
'' | indent
'<b>' | safe
('<b>' | safe) ~ '<'
x | length
x | list
x | join
x | upper
x | trim
z | trim
z is none
z is not none
x is defined
x is not defined
x is undefined
s is string
n is string
n is number
yes is number
yes is boolean
n is integer
f is float
l is sequence
s is sequence
d is sequence
n is sequence
d is mapping
l is mapping
l is iterable
s is iterable
n is iterable
x is iterable
yes is true
n is true
false is false
n is odd
n is even
n is divisibleby 7
n is divisibleby(3)
n is eq 7
n is in [7]
n is sameas 7 if false else 1
s is lower
'abc' is lower
'ABC' is upper
range is callable
n is defined and n > 3
n is not string or z
not n is string
not x is defined
1 is none is none
('a', 'b')[1]
namespace(a=1).a
namespace(a=1).b
dict(a=1, b=2)
dict({'q': 1}, a=1).q
raise_exception('no')
strftime_now('%d %b %Y')
strftime_now('%Y-%m-%d %H:%M:%S %p %I %y %A %a %B %j') if false else 'x'
nothing()
n()
s()
'a' if x else 'b'
'\u00e9\x41\101\\\'\"\q\n'
"it's"
1 +
(1
'abc
1 2
a..b
{'a' 1}
s is 
foo(a=1, 2)
s | nope(
l[1:2:0]
l[1:2:3:4]
9223372036854775807 - 1
-9223372036854775807 - 1
1.5e300 * 1e10
'é' < 'z'
'e\u0301' == 'é'
'%' ~ '%%'
'a' is in 'abc'
[1, [2, [3]]] == [1, [2, [3]]]
{'a': 1} == {'a': 1.0}
(1, 2) == [1, 2]
loop
loop.index
true and 'x' or 'y'
true if n is defined else false
-n | abs
- n
+ n
-s
(s | trim).lower()
'a,b'.split(',') | map('upper') | join('-')
d.a['x'].upper()
messages is defined and messages
""".strip("\n").split("\n")

FRAGMENTS = [
    "a\n",
    "a\n\n",
    "a\r\nb\rc",
    "  {% if true %}\n  x\n  {% endif %}\n  y",
    "a {% if true %} b {% endif %} c",
    "a\n  {%+ if true %}b{% endif +%}\nc",
    "a  {%- if true -%}  b  {%- endif -%}  c",
    "a  {{- 'x' -}}  b",
    "  {{ 'x' }}\n  y",
    "{# c #}\na {#- c -#} b\n  {# d #}\nz",
    "{% raw %}{{ x }}{% endraw %}\nb",
    "{%- raw -%} {% if %} {%- endraw -%} b",
    "  {% raw %}\n a\n  {% endraw %}\nb",
    "{{ '}}' }}{{ '%}' }}",
    "{{ {'a': {'b': 1}}['a']['b'] }}",
    "{% set x = 1, 2 %}{{ x }}",
    "{% set a, b = 1, 'z' %}{{ a }}{{ b }}",
    "{% set a, b = 1 %}",
    "{% set x = 1 %}{% for i in [1,2] %}{{ x }}{% set x = 5 %}{{ x }}{% endfor %}{{ x }}",
    "{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}",
    "{% set ns = namespace(x=1) %}{% for i in [1,2] %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}",
    "{% set q.x = 1 %}",
    "{% set d = {} %}{% set d.x = 1 %}",
    "{% for a, b in [[1, 2], [3, 4]] %}{{ a }}-{{ b }} {% endfor %}",
    "{% for a, b in [[1, 2, 3]] %}{{ a }}{% endfor %}",
    "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}={{ v }}{{ ', ' if not loop.last }}{% endfor %}",
    "{% for (k, v) in {'a': 1} | items %}{{ k }}{{ v }}{% endfor %}",
    "{% for i in [] %}x{% else %}none{% endfor %}",
    "{% for i in q %}x{% else %}none{% endfor %}",
    "{% for i in none %}x{% endfor %}",
    "{% for i in 5 %}x{% endfor %}",
    "{% for c in 'héy' %}{{ c }}.{% endfor %}",
    "{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "{% for i in range(6) if i is odd %}{{ loop.index }}/{{ loop.length }}:{{ i }}{{ loop.revindex }}{{ loop.revindex0 }} {% endfor %}",
    "{% for i in [1,2,3] %}{{ loop.cycle('a', 'b') }}{{ loop.first }}{{ loop.last }}{% endfor %}",
    "{% for i in [1,2] %}{% for j in [1,2] %}{{ loop.index }}{% endfor %}{{ loop.index0 }}{% endfor %}",
    "{% for i in [1,2,3] %}{{ loop.previtem }}<{{ i }}>{{ loop.nextitem }} {% endfor %}",
    "{% set ns = namespace(k=0) %}{% for i in [1,2,3,4] if i > ns.k %}{% set ns.k = i + 1 %}{{ i }}{% endfor %}",
    "{% set ns = namespace(k=0) %}{% for i in [1,2,3,4] if i > ns.k %}{% set ns.k = i + 1 %}{{ i }}{{ loop.last }}{% endfor %}",
    "{% set g = [1,2] | map('string') %}{{ g | join }}{{ g | join }}|",
    "{% macro f(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ f(1) }}{{ f(1, 3) }}{{ f(b=1, a=0) }}{{ f() }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, 2) }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(c=1) }}",
    "{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}",
    "{% macro f() %}{{ x }}{% endmacro %}{% set x = 3 %}{{ f() }}",
    "{% macro f() %}{% set x = 4 %}{{ x }}{% endmacro %}{% set x = 3 %}{{ f() }}{{ x }}",
    "{% macro f(a, b=a) %}{{ b }}{% endmacro %}{{ f(7) }}",
    "{% macro f(x) -%}  [{{ x }}]  {%- endmacro %}{{ f('a') | length }}{{ f('a') is string }}",
    "{% set x %}a{{ 1 }}b{% endset %}{{ x | length }}",
    "{% set x | upper | trim %} ab {% endset %}[{{ x }}]",
    "{% filter upper %}abc{{ 'x' }}{% endfilter %}",
    "{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a }}",
    "{% if false %}a{% elif 0 %}b{% elif 'x' %}c{% else %}d{% endif %}",
    "{% if q.r %}a{% endif %}",
    "{% if not q %}a{% endif %}",
    "{% if q is defined and q.r.s %}a{% else %}b{% endif %}",
    "{% endif %}",
    "{% if true %}",
    "{% for x in %}{% endfor %}",
    "{{ 1 ",
    "{# open",
    "{% generation %}a{% endgeneration %}b{% generation %}ü{{ 'c' }}{% endgeneration %}",
    "é{% for i in [1,2] %}{% generation %}{{ loop.index }}é{% endgeneration %} {% endfor %}",
    "{% set x = 1 %}{% generation %}{% set x = 2 %}{{ x }}{% endgeneration %}{{ x }}",
    "\u3000\n \u00a0{% if true %}\nx{% endif %}",
    "{{ 'a\nb' }}",
    "line\n\n\n{%- if true %}x{% endif %}\n\n",
    "{{ messages | map(attribute='role') | join(' ') }}",
    "{%if(true)%}x{%endif%}",
    "{{- 1 -}}{{+2}}",
    "{% set none_value = none %}{{ none_value }}{{ True }}{{ False }}{{ None }}",
    "{% set s = 'abc' %}{% for c in s[::-1] %}{{ c }}{% endfor %}",
    "{% set x = ['a'] + ['b'] %}{% set x = x + ['c'] %}{{ x }}",
    "{% for i in [1, 2] %}{{ i }}{% if not loop.last %},{% endif %}{%- endfor %}\n\nend",
]


def main():
    templates, cases, expressions, fragments = {}, [], [], []
    for name, source in TEMPLATES.items():
        templates[name] = source
        for index, messages in enumerate(CONVERSATIONS):
            for options in ({}, {"add_generation_prompt": True}, {"tools": TOOLS, "enable_thinking": False}):
                variables = {"messages": messages, "bos_token": "<s>", "eos_token": "</s>", **options}
                cases.append({"template": name, "conversation": index, "options": options, **outcome(source, variables)})
    for source in EXPRESSIONS:
        expressions.append({"source": source, **outcome("{{ " + source + " }}", VALUES)})
    for source in FRAGMENTS:
        fragments.append({"source": source, **outcome(source, VALUES)})
    result = {
        "versions": {"python": sys.version.split()[0], "jinja2": jinja2.__version__},
        "templates": templates,
        "conversations": CONVERSATIONS,
        "values": VALUES,
        "cases": cases,
        "expressions": expressions,
        "fragments": fragments,
    }
    folder = pathlib.Path(__file__).parent / "TemplateFixtures"
    folder.mkdir(exist_ok=True)
    (folder / "templates.json").write_text(json.dumps(result, ensure_ascii=False, indent=0) + "\n")
    print(len(cases), "renderings,", len(expressions), "expressions,", len(fragments), "fragments")


main()
