"""One recipient as people and programs write it, what each refusal names, and what is written for find_people."""

from base64 import b64encode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from m365_mcp.errors import InvalidArgument, RecipientNotAllowed
from m365_mcp.graph.people import Person
from m365_mcp.mail import MailRules, Recipient, check_recipients
from m365_mcp.mail.addresses import may_leave_domain
from m365_mcp.mail.recipient import read_recipient, write_recipient
from m365_mcp.tools.people import describe
from tests.mail.composing import build, refused, sentence_of

GRACE = "grace@contoso.example"
CONTOSO = MailRules(allowed_domains=("contoso.example",))


def refusal(entry: str) -> str:
    with refused(InvalidArgument) as caught:
        read_recipient("'to' entry 1", entry)
    assert not any(word in caught.value.explain() for word in ("grace@", "boss@", "contoso"))
    return sentence_of(caught.value, "'to' entry 1 ")


@pytest.mark.parametrize(
    "name",
    [
        "Hopper, Grace",
        f"Mail: {GRACE}",
        "Sammy Davis, Jr.",
        "O'Brien, Seán (IT) [EXT]",
        "Kim @ Front Desk",
        "Grace@Work",
        "Team: Sales",
        "Room: Berlin 4.12",
        "Hopper; Grace",
        "Grace <3",
        "<Grace>",
        'Grace "Amazing" Hopper',
        '"Grace',
        'Grace"',
        "“Grace”",
        ".NET Team",
        "Grace (grace@contoso.example)",
        "王小明（業務）",
        "غريس هوبر",
        "می‌خواهم",
        "അവന്‍",
        "Grace 👩‍💻",
    ],
)
def test_k7_all_before_the_last_bracket_is_the_name(name: str) -> None:
    """The last <…> is the address; the name before it stays as it is written, whatever it holds."""
    assert read_recipient("to", f"{name} <{GRACE}>") == Recipient(GRACE, name)


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        (f'"Hopper, Grace" <{GRACE}>', "Hopper, Grace"),
        (rf'"Grace \"Amazing\" Hopper" <{GRACE}>', 'Grace "Amazing" Hopper'),
        (rf'"AC\\DC" <{GRACE}>', r"AC\DC"),
        (rf"\"Hopper, Grace\" <{GRACE}>", "Hopper, Grace"),
        (f"=?utf-8?Q?Gr=C3=A4ce?= <{GRACE}>", "Gräce"),
        (f'"=?utf-8?B?R3LDpGNl?=" <{GRACE}>', "Gräce"),
        (f"=?x-unknown?q?Grace?= <{GRACE}>", "=?x-unknown?q?Grace?="),
        (f"{'=?utf-8?q?b?= ' * 16} <{GRACE}>", "b" * 16),
        (f"Xaver <{GRACE}>", "Xaver"),
        (f"{GRACE} (Grace)", "Grace"),
        (f"{GRACE} (Grace Hopper)", "Grace Hopper"),
        (f"“Grace <{GRACE}>”", "Grace"),
        (f"Grace <mailto:{GRACE}>", "Grace"),
        (f"Grace <{GRACE}>;", "Grace"),
        (f"Grace <{GRACE}>.", "Grace"),
        (f"Team: Sales <{GRACE}>,", "Team: Sales"),
        (f'"Grace <{GRACE}>"', "Grace"),
        (f"[Grace](mailto:{GRACE})", "Grace"),
        (f"Grace <[{GRACE}](mailto:{GRACE})>", "Grace"),
        (f"<mailto:{GRACE}|Grace>", "Grace"),
        (f"Grace &lt;{GRACE}&gt;", "Grace"),
        (f"&quot;Hopper &amp; Co&quot; &lt;{GRACE}&gt;;", "Hopper & Co"),
        (f"Grace\t<{GRACE}>", "Grace"),
        (f"Grace <SMTP:{GRACE}>", "Grace"),
        (f"\ufeffGrace\u200b <\u200e{GRACE}\u200b>\u00a0", "Grace"),
    ],
)
def test_k7_spelling_that_can_mean_one_thing_is_read(entry: str, name: str) -> None:
    """Quotes, encoded words, links, separators and zero-width marks around a name and an address are understood."""
    assert read_recipient("to", entry) == Recipient(GRACE, name)


@pytest.mark.parametrize(
    "entry",
    [
        f"{GRACE} <{GRACE}>",
        f"GRACE@Contoso.Example <{GRACE}>",
        f"'{GRACE}' <{GRACE}>",
        f'"{GRACE}" <{GRACE}>',
        f"[{GRACE}](mailto:{GRACE})",
        f"[{GRACE}](mailto:{GRACE}) <{GRACE}>",
        f"<mailto:{GRACE}|{GRACE}>",
        f"mailto:{GRACE}",
        "MAILTO:grace%40contoso.example",
        f"<{GRACE}>",
        f"'{GRACE}'",
        f"`{GRACE}`",
        f"{GRACE},",
        f"{GRACE} ;",
        f"{GRACE}\r\n",
        f"\u200b{GRACE}\u200b",
        f"\ufeff{GRACE}",
        f"\u202a{GRACE}\u202c",
        f"\u00a0{GRACE}\u200f",
    ],
)
def test_k7_address_alone_has_no_name(entry: str) -> None:
    """A name that says nothing but the address is dropped, and marks around the address too."""
    assert read_recipient("to", entry) == Recipient(GRACE)


@pytest.mark.parametrize(
    ("entry", "met"),
    [
        ("", "is empty"),
        (" ;\u200b", "is empty"),
        ("Grace Hopper", "has no @"),
        ("Hopper, Grace", "has no @"),
        (f"{GRACE} <Grace>", "has no @"),
        ("Grace <>", "has no address"),
        (f"Grace {GRACE}", "has a blank in its address, or a name without < and >"),
        (f"Grace <{GRACE}", "has a < without a >"),
        (f"{GRACE}>", "has a < without a >"),
        (f"> <{GRACE}", "has a < without a >"),
        (f"[{GRACE})", "is not a mail address: its part after the @ is not valid"),
        (f"[{GRACE}](mailto:{GRACE}) (Grace)", "has a blank in its address"),
        ('""', "has no @"),
        (f"Grace <{GRACE}> Hopper", "has text after its address"),
        (f"{GRACE}; boss@contoso.example", "holds more than one address"),
        (f"{GRACE}, boss@contoso.example", "holds more than one address"),
        (f"{GRACE} boss@contoso.example", "holds more than one address"),
        (f"Grace <{GRACE}>, Boss <boss@contoso.example>", "holds more than one address"),
        (f"mailto:{GRACE},boss@contoso.example", "holds more than one address"),
        (f"Team: {GRACE}, boss@contoso.example;", "is a group of addresses"),
        (f"Team: Grace <{GRACE}>, Boss <boss@contoso.example>;", "is a group of addresses"),
        ("undisclosed-recipients:;", "is a group of addresses"),
        (f"Grace\r\n<{GRACE}>", "contains a line break"),
        (f"Grace\u2028<{GRACE}>", "contains a line break"),
        (f"Gr\x00ace <{GRACE}>", r"contains a control character (U+0000)"),
        (f"\u202e{GRACE}", r"contains a control character (U+202E)"),
        (f"=?utf-8?q?Grace=0D=0ABcc=3A?= <{GRACE}>", "contains a line break"),
        ("grace@con\u200btoso.example", "has an invisible character (U+200B) in its address"),
        ("gra\ufe0fce@contoso.example", "has an invisible character (U+FE0F) in its address"),
        ("grace＠contoso.example", "has a character in its address that only looks like an @ (U+FF20)"),
        (f"mailto:{GRACE}?cc=boss@contoso.example", "is a mailto: address with parameters"),
        ("@a.example,@b.example:grace@contoso.example", "has a route before its address"),
        ("grace@contoso..example", "is not a mail address: its part after the @ is not valid"),
        ("gra..ce@contoso.example", "is not a mail address: its part before the @ is not valid"),
        ("@contoso.example", "is not a mail address: it has nothing before the @"),
        ("grace@", "is not a mail address: it has nothing after the @"),
        (f"{'a' * 65}@contoso.example", "is not a mail address: it is too long"),
        ('"a@' + "a" * 62 + '"@contoso.example', "is not a mail address: it is too long"),
        ('a"b@c"@contoso.example', "holds more than one address"),
        (f"{'a' * 257} <{GRACE}>", "has a display name of 257 characters"),
        (f"{'a' * 1000} <{GRACE}>", "has 1,024 characters"),
        (f"{'=?a?q?b?=' * 17} <{GRACE}>", "has a name that is encoded"),
        (f"=?utf-8?b?{b64encode(b'=?' * 17).decode()}?= <{GRACE}>", "has a name that is encoded"),
    ],
)
def test_k7_refusal_names_what_was_met(entry: str, met: str) -> None:
    """The error says what is wrong with the entry, and repeats none of it."""
    assert refusal(entry).removeprefix("'to' entry 1 ").startswith(met)


def test_k7_name_without_an_address_is_to_be_looked_up() -> None:
    """The advice names the tool that finds an address, and forbids to guess one."""
    with refused(InvalidArgument) as caught:
        read_recipient("'to' entry 1", "Grace Hopper")

    assert "find_people" in caught.value.advice
    assert "do not guess" in caught.value.advice


@pytest.mark.parametrize(
    "name",
    [
        "boss@contoso.example",
        '"boss@contoso.example"',
        "The boss: boss@contoso.example",
        "Boss (boss@contoso.example)",
        "@boss@contoso.example",
        "boss＠contoso.example",
        "boss﹫contoso.example",
        "boss@contoso․example",
        "boss@contoso。example",
        "boss\u200b@contoso.example",
        "boss\u200a@\u200acontoso.example",
        "boss\ufe0f@contoso.example",
        "=?utf-8?q?boss=40contoso.example?=",
        "=?utf-8?b?Ym9zc0Bjb250b3NvLmV4YW1wbGU=?=",
        "=?x-unknown?q?boss=40contoso.example?=",
        "=?utf-8?q?boss?= =?utf-8?q?=40contoso.example?=",
        "=?utf-8?q?=3D=3Futf-8=3Fq=3Fboss=3D40contoso.example=3F=3D?=",
    ],
)
@pytest.mark.parametrize("form", ["{} <eve@evil.example>", "[{}](mailto:eve@evil.example)", "eve@evil.example ({})"])
def test_k7_name_that_shows_another_address_is_refused(name: str, form: str) -> None:
    """No disguise of another address passes as a name, and in no form of an entry."""
    refusal(form.format(name))


TEXTS = st.text(max_size=40) | st.text(" \"\\<>@,;:()[].=?'ab\u200b\u200f＠", max_size=30)


@given(name=TEXTS, local=st.from_regex(r"[a-z]{1,8}", fullmatch=True))
@example(name='\\"', local="a")
@example(name='"a" "b"', local="a")
@example(name="=?utf-8?q?a?=", local="a")
def test_k7_what_is_written_for_a_person_is_read_back(name: str, local: str) -> None:
    """Whatever the name is, the entry is read as this address; with a name, it is this name and no other."""
    address = f"{local}@contoso.example"

    entry = write_recipient(address, name)

    assert entry is not None
    read = read_recipient("to", entry)
    assert read.address == address
    assert read.name is None or read.name in name
    if name.isprintable() and not set(name) & set("@＠﹫=") and name.strip() and name.isascii():
        assert read.name == name.strip()


@given(
    name=st.text(st.characters(categories=["L", "N", "P", "Zs"], exclude_characters="@＠﹫"), min_size=1, max_size=60)
)
def test_k7_name_of_letters_and_punctuation_stays_with_the_address(name: str) -> None:
    """A name without an @ and without invisible characters is always a part of the entry."""
    read = read_recipient("to", write_recipient(GRACE, f"G{name}e") or "")

    assert read == Recipient(GRACE, f"G{name}e")


@pytest.mark.parametrize(
    "name", ["Ling, Mei", "O'Brien, Seán (IT) [EXT]", "Kim @ Front Desk", "Sammy Davis, Jr.", None]
)
def test_k7_everyone_found_can_be_put_into_to(name: str | None) -> None:
    """find_people returns a ready recipient, and send_mail reads it as the same name and address."""
    (found,) = describe("grace", (Person(GRACE, name),), 10).people

    assert build(CONTOSO, to=[found.recipient]).to == (Recipient(GRACE, name),)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Grace Hopper", "Grace Hopper"),
        ("Ling, Mei", '"Ling, Mei"'),
        (r"AC\DC", r'"AC\\DC"'),
        ('G "A" H', r'"G \"A\" H"'),
    ],
)
def test_k7_name_is_quoted_where_it_must_be(name: str, written: str) -> None:
    """Only a name with a special character of RFC 5322 stands in quotation marks."""
    assert write_recipient(GRACE, name) == f"{written} <{GRACE}>"


@pytest.mark.parametrize("name", ["boss@contoso.example", "Grace\nHopper", "\u202eGrace", "g" * 257, GRACE, " ", ""])
def test_k7_name_that_no_entry_may_have_is_left_out_of_it(name: str) -> None:
    """The address alone is what is ready to be used."""
    assert write_recipient(GRACE, name) == GRACE


def test_k7_person_without_a_mail_address_is_nobody() -> None:
    """What Graph gives as an address and no mail goes to is not offered as a recipient."""
    legacy = Person("/o=Contoso/ou=Exchange/cn=Recipients/cn=grace", "Grace")

    assert describe("grace", (legacy,), 10).status == "none"
    assert [one.address for one in describe("grace", (legacy, Person(GRACE, "Grace")), 10).people] == [GRACE]


ELSEWHERE = [
    "IMCEASMTP-m+40evil+2Eexample@contoso.example",
    "imceaex-_o=Evil_cn=m@contoso.example",
    "IMCEAFAX-m+40+2B49@contoso.example",
    "IMCEAX400-c=de+3B@contoso.example",
    "m%evil.example@contoso.example",
    "m％evil.example@contoso.example",
    "evil.example!m@contoso.example",
    "evil.example！m@contoso.example",
    "m_evil.example#EXT#@contoso.example",
    "SRS0=HHH=TT=evil.example=m@contoso.example",
    "SRS1+HHH=evil.example==TT@contoso.example",
    "/DD.RFC-822=m/O=evil/@contoso.example",
    '"m@evil.example"@contoso.example',
    '"a b"@contoso.example',
]
NEVER = [
    "m＠evil.example@contoso.example",
    "m﹫evil.example@contoso.example",
    "@evil.example,@b.example:m@contoso.example",
]


@pytest.mark.parametrize("address", ELSEWHERE + NEVER)
@pytest.mark.parametrize("form", ["{}", "Grace <{}>", "mailto:{}"])
def test_h15_local_part_that_may_mean_another_domain_does_not_pass_a_list(address: str, form: str) -> None:
    """With a list of domains, an address that a system may send on elsewhere is refused, in every form."""
    with refused(InvalidArgument):
        build(CONTOSO, to=[form.format(address)])


@pytest.mark.parametrize("address", ELSEWHERE)
def test_h15_legal_address_passes_without_a_list(address: str) -> None:
    """Where the operator limits no domain, every legal address may receive mail."""
    assert [one.address.casefold() for one in build(to=[address]).to] == [address.casefold()]


@pytest.mark.parametrize("address", ["m%evil.example@contoso.example", '"m@evil.example"@contoso.example'])
def test_h15_refusal_names_the_entry_and_says_why(address: str) -> None:
    """The error is the one of a recipient that is not allowed; it names the entry and not the address."""
    with pytest.raises(RecipientNotAllowed) as caught:
        build(CONTOSO, to=[GRACE], cc=[address])

    assert "'cc' entry 1" in caught.value.sentence
    assert "another domain than the one after the @" in caught.value.sentence
    assert "evil" not in caught.value.explain()


@pytest.mark.parametrize(
    "address",
    [*ELSEWHERE, *NEVER, '"m%evil"@contoso.example', "contoso.example", "@contoso.example", "", "a,b@contoso.example"],
)
def test_h15_recipient_of_a_draft_is_judged_by_the_same_rule(address: str) -> None:
    """A draft's recipients come from the mailbox, where any program may have written them."""
    with pytest.raises(RecipientNotAllowed):
        check_recipients(CONTOSO, to=(Recipient(GRACE), Recipient(address)))
    check_recipients(MailRules(), to=(Recipient(GRACE), Recipient(address)))


@pytest.mark.parametrize(
    "local",
    ["ada", "ada+list", "ada.lovelace", "o'brien", "ada_l", "a-b", "小明", "भारत", "{ada}", "a=b", "a#1", "imcea"],
)
def test_h15_ordinary_local_part_passes_a_list(local: str) -> None:
    """Plus, apostrophe, sharp and letters of every script mean no other domain."""
    assert not may_leave_domain(f"{local}@contoso.example")
    assert build(CONTOSO, to=[f"{local}@contoso.example"]).to
