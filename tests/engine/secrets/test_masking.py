"""Masking: no secret in any spelling, and nothing broken by it."""

from __future__ import annotations

import base64
import html
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.secrets.masking import MASK, Mask

CANARIES = [
    "canary-4711",
    'pa"ss\\wörd',
    "p@ss w0rd!&<x>'",
    "a/b+c=d==",
    "ключ-🔑-key",
    "line one\nline two\ttab",
    "%41%2f+x",
]

ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "json": json.dumps,
    "json utf-8": lambda text: json.dumps(text, ensure_ascii=False),
    "json twice": lambda text: json.dumps(json.dumps({"a": text})),
    "json slashes": lambda text: json.dumps(text).replace("/", "\\/"),
    "repr": repr,
    "ascii": ascii,
    "yaml": lambda text: yaml.safe_dump(text, width=10_000, allow_unicode=True),
    "url": lambda text: quote(text, safe=""),
    "url path": quote,
    "url loose": lambda text: quote(text, safe="!#$%&'()*+,/:;=?@[]~"),
    "url lower": lambda text: "".join(
        part.lower() if part[:1] == "%" else part for part in split_escapes(quote(text, safe=""))
    ),
    "form": quote_plus,
    "html": html.escape,
    "hex": lambda text: text.encode().hex(),
    "HEX": lambda text: text.encode().hex().upper(),
}


def split_escapes(text: str) -> list[str]:
    parts = text.split("%")
    return [parts[0]] + [piece for part in parts[1:] for piece in ("%" + part[:2], part[2:])]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("canary", CANARIES)
def test_a_secret_is_masked_in_every_encoding(canary: str, encoding: str) -> None:
    encode = ENCODINGS[encoding]

    masked = Mask([canary]).text(f"before {encode('x' + canary + 'y')} after")

    inner = encode("x" + canary + "y")
    assert MASK in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert inner not in masked
    assert all(run not in masked for run in ("canary", "w0rd", "line one", "4711") if run in canary)


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("canary", ["canary-4711", "кан?рейка>>>", "sec1", "x" * 100])
def test_a_secret_is_masked_in_base64_wherever_it_stands(canary: str, encode: Callable[[bytes], bytes]) -> None:
    mask = Mask([canary])

    for before in range(7):
        for after in range(4):
            whole = encode(b"B" * before + canary.encode() + b"A" * after).decode()
            masked = mask.text(whole)
            assert MASK in masked
            assert all(canary[:4] not in decoded for decoded in decodings(masked.replace(MASK, "")))


def decodings(text: str) -> list[str]:
    """What is left of a Base64 text, read at each alignment."""
    found = []
    for cut in range(4):
        rest = text[cut:].rstrip("=")
        rest = rest[: len(rest) // 4 * 4]
        found.append(base64.b64decode(rest, altchars=b"-_").decode("utf-8", "replace"))
        found.append(base64.b64decode(rest).decode("utf-8", "replace"))
    return found


@pytest.mark.parametrize("user", ["", "bob", "bobby", "é@x"])
def test_basic_authentication_is_masked_whole(user: str) -> None:
    header = "Basic " + base64.b64encode(f"{user}:canary-4711".encode()).decode()

    assert Mask(["canary-4711"], [(user, "canary-4711")]).text(header) == "Basic ***"


def test_user_names_are_not_masked_alone() -> None:
    assert Mask(["canary"], [("bob", "canary")]).text("bob has canary") == "bob has ***"


def test_short_values_are_left_alone() -> None:
    assert (
        Mask(["", "abc", "  x  ", "****"], [("bob", "abc")]).text("abc x **** Ym9iOmFiYw==")
        == "abc x **** Ym9iOmFiYw=="
    )


def test_a_text_without_secrets_is_the_same_object() -> None:
    text = "nothing to see " * 10

    assert Mask(["canary"]).text(text) is text
    assert Mask([]).text(text) is text
    assert Mask(["canary"]).json_text(text) is text


def test_secrets_that_overlap_are_masked_to_the_last_character() -> None:
    assert Mask(["abcd1234", "1234efgh"]).text("x abcd1234efgh y") == "x *** y"
    assert Mask(["secret", "secret-long"]).text("secret-long secret") == "*** ***"


def test_each_line_of_a_key_is_masked() -> None:
    key = "-----BEGIN KEY-----\nAAAAcanaryAAAA\nBBBBcanaryBBBB\n-----END KEY-----\n"

    masked = Mask([key]).text("log: AAAAcanaryAAAA\nlog: BBBBcanaryBBBB\n" + key.strip())

    assert "canary" not in masked


def test_masking_json_keeps_it_json() -> None:
    mask = Mask(["123456", "canary", "true-ish"])

    masked = mask.json_text('{"id": 123456, "n": -1234567.5, "b": true, "canary": ["x canary", null, {"y": 9.5}]}')

    assert json.loads(masked) == {"id": MASK, "n": MASK, "b": True, MASK: ["x ***", None, {"y": 9.5}]}


def test_keys_that_masking_makes_equal_keep_their_values() -> None:
    assert Mask(["canary", "yranac"]).json({"canary": 1, "yranac": 2, "z": 3}) == {"***": 1, "*** (2)": 2, "z": 3}


def test_what_is_no_json_becomes_a_json_text() -> None:
    assert json.loads(Mask(["canary"]).json_text("not json: canary")) == "not json: ***"


def test_masking_a_value_does_not_change_it() -> None:
    value = {"a": ["canary"]}

    assert Mask(["canary"]).json(value) == {"a": ["***"]}
    assert value == {"a": ["canary"]}


def test_many_backslashes_are_no_trap() -> None:
    text = "\\" * 20_000 + '"' + "%5c" * 5_000

    assert Mask(['\\\\"\\"\\\\']).text(text)


SECRETS = st.text(st.characters(blacklist_categories=["Cs"]), min_size=4, max_size=20).filter(
    lambda text: len(text.strip("* ")) > 3
)


@given(SECRETS, st.text(st.characters(blacklist_categories=["Cs"]), max_size=10), st.text(max_size=10), st.booleans())
def test_no_secret_survives_in_json(secret: str, before: str, after: str, escaped: bool) -> None:
    value = {"a": [before + secret + after], before + secret: {"n": 1}}
    text = json.dumps(value, ensure_ascii=escaped)

    masked = json.loads(Mask([secret]).json_text(text))

    assert MASK in masked["a"][0]
    assert secret not in masked["a"][0].replace(MASK, "\0")
    assert all(secret not in key.replace(MASK, "\0") for key in masked)


@given(
    SECRETS,
    st.sampled_from(sorted(set(ENCODINGS) - {"yaml"})),
    st.text("abc ", max_size=5),
    st.text("abc ", max_size=5),
)
def test_no_secret_survives_any_encoding(secret: str, encoding: str, before: str, after: str) -> None:
    encode = ENCODINGS[encoding]
    assume(len(secret.strip()) >= 4)

    masked = Mask([secret]).text(encode(before + secret + after))

    assert MASK in masked
    assert encode(before + secret + after) not in masked


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_values_without_secrets_stay_as_they_are(value: object) -> None:
    mask = Mask(["a canary that is nowhere"])

    assert mask.json(value) == value
    assert mask.json_text(json.dumps(value)) == json.dumps(value)


# What a secret or a text may cost

COSTLY = {
    "backslashes before signs": ("\\!" * 3333 + "Q1", ("\\" * 8 + "!") * 3333 + "X Q1"),
    "backslashes": ("\\" * 9998 + "Q1", ("\\" * 9000 + "X") * 50 + "Q1"),
    "an anchor that overlaps itself": ("a" * 5000 + "é" + "a" * 4999, "a" * 1_000_000),
    "beginnings before cuts": ("a" * 9999 + "b", ("a" * 9990 + "...") * 50),
    "no letter": ("é" * 10_000, "é" * 500_000),
    "percent": ("%25" * 3000 + "Z1", "%25" * 100_000 + "Z1"),
    "entities": ("&amp;" * 2000, "&amp;" * 100_000),
    "zeros": ("&#" + "0" * 9000, "&#" + "0" * 500_000),
}


@pytest.mark.parametrize("name", COSTLY)
def test_no_secret_and_no_text_makes_masking_long(name: str) -> None:
    assert is_within_limits(
        f"from test_masking import COSTLY, Mask; Mask([COSTLY[{name!r}][0]]).json_text(COSTLY[{name!r}][1])"
    )


def test_the_mask_of_the_longest_secret_inputs_is_small() -> None:
    assert is_within_limits(
        "from test_masking import Mask; [Mask(['é' * 10_000 + str(n)]).text('é') for n in range(20)]"
    )


def is_within_limits(code: str) -> bool:
    """Whether it ends within ten seconds of processor time and 400 MB, in a process of its own."""
    limits = (
        "import resource as r; r.setrlimit(r.RLIMIT_CPU, (10, 10)); r.setrlimit(r.RLIMIT_AS, (400 << 20, 400 << 20)); "
    )
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    command = [sys.executable, "-c", limits + code]
    return subprocess.run(command, env={"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}).returncode == 0


# Secrets that were cut before they were masked

LONG = "ghp_AbCdEfGhIjKlMnOpQrSt/vWx Yz0123é56789"


@pytest.mark.parametrize("length", [8, 9, 20, 37, 40])
@pytest.mark.parametrize(
    "encode", [str, json.dumps, lambda text: quote(text, safe=""), lambda text: text.encode().hex()]
)
def test_the_beginning_of_a_secret_is_masked_before_a_cut(length: int, encode: Callable[[str], str]) -> None:
    start = encode(LONG[:length]).strip('"')

    for text in (f"said: {start}... (4096 characters)", f'string ("{start}...) cannot be parsed, not "{start}..."'):
        masked = Mask([LONG]).text(text)
        assert start not in masked
        assert masked.startswith(text[: text.index(start)] + "***...")
        assert json.loads(Mask([LONG]).json_text(json.dumps([text]))) == [masked]


@pytest.mark.parametrize("cut", ["\\", "\\u00", "\\u00e", "%", "%C", "\ufffd"])
def test_a_cut_through_an_escape_does_not_hide_a_beginning(cut: str) -> None:
    assert Mask(["ghp_AbCdéxyz"]).text(f"said: ghp_AbCd{cut}... more") == "said: ***... more"
    assert Mask(["pass&word%long"]).text("said: pass&word...") == "said: ***..."


def test_basic_authentication_is_masked_before_a_cut() -> None:
    header = base64.b64encode(b"bob:canary-4711-and-more").decode()[:20]

    assert (
        Mask(["canary-4711-and-more"], [("bob", "canary-4711-and-more")]).text(f"Basic {header}...") == "Basic ***..."
    )


def test_what_only_begins_like_a_secret_stays() -> None:
    mask = Mask(["https://hooks.example.com/T000"])

    assert mask.text("https://hooks.example.com is up...") == "https://hooks.example.com is up..."
    assert mask.text("https://hooks.example.com") == "https://hooks.example.com"
    assert mask.text("https:/...") == "https:/..."


def test_a_secret_in_the_place_of_a_host_is_masked_as_hosts_are_shown() -> None:
    assert Mask(["ghp_AbCdEfGh"]).text("GET ghp_abcdefgh.invalid: not known") == "GET ***.invalid: not known"


# Spellings of jq, shells and tables


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ('pa"ss"word', '"x","pa""ss""word"'),
        ("pa'ss'word", "echo 'pa'\\''ss'\\''word'"),
        ("ca\anary\v\x1b\0end\x85\u2028\u2029\xa0.", '"ca\\anary\\v\\e\\0end\\N\\L\\P\\_."'),
        ('pa"ss\\wo\nrd', json.dumps(json.dumps(json.dumps(json.dumps('pa"ss\\wo\nrd'))))),
    ],
)
def test_a_secret_is_masked_as_programs_write_it(secret: str, text: str) -> None:
    for mask in (Mask([secret]).text, lambda text: json.loads(Mask([secret]).json_text(json.dumps(text)))):
        masked = mask(f"before {text} after")
        assert MASK in masked
        assert "ss" not in masked
        assert "nary" not in masked


@pytest.mark.parametrize("secret", ["\\" * 4, '""""', "''''x", "\\\\\\n"])
def test_a_secret_of_hardly_anything_masks_no_single_sign(secret: str) -> None:
    text = 'it\'s \\n "so" \\\\ x n'

    assert Mask([secret]).text(text) == text
    assert Mask([secret]).text(f"a {secret} b") == "a *** b"


ODD = st.text(st.sampled_from("\\%&u0x41dn\"'+ amlät🔑Z"), min_size=4, max_size=12)


@given(st.data())
def test_a_secret_is_masked_whichever_way_each_character_is_written(data: st.DataObject) -> None:
    secret = data.draw(ODD.filter(lambda text: len(text.strip()) >= 4))
    written = "".join(data.draw(st.sampled_from(ways(character))) for character in secret)

    masked = Mask([secret]).text(f"before={written} after")

    assert MASK in masked
    assert written not in masked


def ways(character: str) -> list[str]:
    if character in "%&" or (character.isascii() and character.isalnum()):
        return {"%": ["%", "%25"], "&": ["&", "&amp;"]}.get(character, [character])
    if character == "\\":
        return ["\\" * count for count in range(1, 9)] + ["%5c", "%5C"]
    number, units = ord(character), character.encode("utf-16-be").hex()
    found = ["\\" * count + character for count in range(9)] + [f"&#{number};", f"&#x0{number:X};"]
    found.append("".join(f"%{byte:02X}" for byte in character.encode()))
    found += ["".join(f"{chr(92) * n}u{units[at : at + 4]}" for at in range(0, len(units), 4)) for n in (1, 2, 4)]
    return found + {" ": ["+"], "'": ["''", "&apos;"], "ä": ["\\xe4", "&auml;"], "🔑": ["\\U0001f511"]}.get(
        character, []
    )
