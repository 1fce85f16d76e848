from datetime import datetime
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from candor.kernel.errors import InvalidInputError
from candor.kernel.setting_faults import complaints
from candor.kernel.settings import load_settings, mask_password, unknown_variables


def test_variables_nest_and_win_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("candor.toml").write_text("port = 1234\n[spool]\nmax_bytes = 9999\n", encoding="utf-8")
    monkeypatch.setenv("CANDOR_SPOOL__MAX_BYTES", "8888")
    settings = load_settings()
    assert (settings.port, settings.spool.max_bytes) == (1234, 8888)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CANDOR_PORT", "many"),
        ("CANDOR_TELEMETRY_DSN", "mysql://x"),
        ("CANDOR_STATE_DSN", "oracle://x"),
        ("CANDOR_AUTH__MODE", "never"),
        ("CANDOR_SPOOL__SEGMENT_BYTES", "1"),
    ],
)
def test_a_complaint_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidInputError, match=variable):
        load_settings()


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("PORT", "many", "CANDOR_PORT: Write a whole number."),
        ("PORT", "99999", "CANDOR_PORT: It must be 65535 or less."),
        ("PORT", "-1", "CANDOR_PORT: It must be 0 or more."),
        ("SPOOL__MAX_AGE", "soon", ("CANDOR_SPOOL__MAX_AGE: Write a time such as PT30M, P7D or a"
         " number of seconds.")),
        ("SPOOL__MAX_AGE", "PT0S", "CANDOR_SPOOL__MAX_AGE: It must be more than 0 seconds."),
        ("SPOOL__SOFT_SHARE", "x", "CANDOR_SPOOL__SOFT_SHARE: Write a number."),
        ("AUTH__MODE", "never", "CANDOR_AUTH__MODE: It is one of 'required' or 'open'."),
        ("SPOOL__X", "1", "CANDOR_SPOOL__X: There is no such setting. Is it misspelt?"),
        ("SPOOL", "3", ("CANDOR_SPOOL: Write a group of settings: as a variable in JSON, in the"
         " file as a table.")),
        ("PUBLIC_URL", "ftp://x", ("CANDOR_PUBLIC_URL: Write an address that begins with http://"
         " or https://.")),
        ("CONTRACTS__SCHEMA_REQUIRED", "x", ("CANDOR_CONTRACTS__SCHEMA_REQUIRED: Write true or"
         " false.")),
        ("JOURNEYS__SUBJECTS", '{"a": "B"}', ("CANDOR_JOURNEYS__SUBJECTS__A: It must match the"
         " pattern ^[a-z][a-z0-9_]{0,39}$.")),
        ("WEBHOOKS", '[{"url": "http://x", "secret": "hush"}]', ("CANDOR_WEBHOOKS__0__SECRET: It"
         " needs at least 16 characters.")),
        ("WEBHOOKS", '[{"url": "http://x"}]', "CANDOR_WEBHOOKS__0__SECRET: It is needed."),
        ("WEBHOOKS", "{}", 'CANDOR_WEBHOOKS: Write a list such as ["a", "b"].'),
    ],
)  # fmt: skip
def test_a_complaint_is_one_sentence_that_says_what_to_write(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(f"CANDOR_{variable}", value)
    with pytest.raises(InvalidInputError) as raised:
        load_settings()
    assert raised.value.detail == sentence


def test_no_complaint_is_worded_by_the_library() -> None:
    kinds = {fault["type"] for fault in FAULTS.errors(include_url=False)}
    words = " ".join(complaints(FAULTS, Path("none.toml"), "CANDOR_"))
    assert len(kinds) > 1
    assert "Input should" not in words
    assert "Write an instant" in words


class Odd(BaseModel):
    """A model whose faults no setting has."""

    at: datetime
    number: int


def _faults() -> ValidationError:
    try:
        Odd.model_validate({"at": "soon", "number": "x"})
    except ValidationError as error:
        return error
    raise AssertionError


FAULTS = _faults()


def test_a_complaint_names_the_place_in_the_file_unless_a_variable_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("candor.toml").write_text("portt = 1\n[spool]\nmax_age = 'x'\n", encoding="utf-8")
    with pytest.raises(InvalidInputError) as raised:
        load_settings()
    assert raised.value.detail.splitlines() == [
        "spool.max_age in candor.toml: Write a time such as PT30M, P7D or a number of seconds.",
        "portt in candor.toml: There is no such setting. Is it misspelt?",
    ]
    monkeypatch.setenv("CANDOR_SPOOL__MAX_AGE", "y")
    with pytest.raises(InvalidInputError, match=r"^CANDOR_SPOOL__MAX_AGE: Write a time"):
        load_settings()


def test_a_file_that_is_no_text_or_cannot_be_read_is_named() -> None:
    path = Path("candor.toml")
    path.write_bytes(b"\xff")
    with pytest.raises(InvalidInputError, match=r"candor\.toml is no text"):
        load_settings()


def test_a_file_that_is_no_toml_is_named() -> None:
    Path("candor.toml").write_text("port = ", encoding="utf-8")
    with pytest.raises(InvalidInputError, match=r"candor\.toml"):
        load_settings()


def test_open_access_is_for_the_loopback_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANDOR_AUTH__MODE", "open")
    assert load_settings(host="::1").auth.mode == "open"
    with pytest.raises(InvalidInputError, match="loopback"):
        load_settings(host="0.0.0.0")  # noqa: S104 - refused, and never bound


def test_passwords_are_masked_wherever_settings_are_shown() -> None:
    settings = load_settings(
        telemetry_dsn="https://user:hush@host:8443/db",
        state_dsn="postgresql+psycopg://user:quiet@host/db",
    )
    shown = str(settings.masked())
    assert "hush" not in shown
    assert "quiet" not in shown
    assert mask_password("sqlite:///x") == "sqlite:///x"
    assert not settings.is_embedded


def test_a_misspelt_variable_is_pointed_out() -> None:
    names = {"CANDOR_PROT": "1", "CANDOR_PORT": "1", "CANDOR_SPOOL__X": "1", "HOME": "/"}
    assert unknown_variables(load_settings(), names) == ["CANDOR_PROT"]


@pytest.mark.parametrize("text", ["a.yaml,b.yaml", '["a.yaml", "b.yaml"]'])
def test_files_of_checks_are_a_list_or_stand_between_commas(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("CANDOR_CHECKS__FILES", text)
    assert load_settings().checks.files == (Path("a.yaml"), Path("b.yaml"))


def test_a_list_of_checks_that_is_cut_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANDOR_CHECKS__FILES", '["a.yaml"')
    with pytest.raises(InvalidInputError, match="CANDOR_CHECKS__FILES"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "topics"),
    [
        ("orders", {"orders": "native"}),
        ("orders, clicks:segment,", {"orders": "native", "clicks": "segment"}),
        ("clicks=segment", {"clicks": "segment"}),
        ('["orders", "clicks:cloudevents"]', {"orders": "native", "clicks": "cloudevents"}),
        ('{"clicks": "segment"}', {"clicks": "segment"}),
    ],
)
def test_topics_are_written_as_text_list_or_mapping(
    monkeypatch: pytest.MonkeyPatch, text: str, topics: dict[str, str]
) -> None:
    monkeypatch.setenv("CANDOR_KAFKA__TOPICS", text)
    assert load_settings().kafka.topics == topics


def test_topics_stand_in_the_file_as_a_table() -> None:
    text = '[kafka]\nbootstrap = "h:9092"\n[kafka.topics]\norders = "native"\n'
    Path("candor.toml").write_text(text, encoding="utf-8")
    assert load_settings().kafka.topics == {"orders": "native"}


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("TOPICS", "orders:xml", "CANDOR_KAFKA__TOPICS__ORDERS"),
        ("TOPICS", "two words", "CANDOR_KAFKA__TOPICS: a topic has"),
        ("TOPICS", "orders,orders:segment", "CANDOR_KAFKA__TOPICS: a topic is named twice"),
        ("TOPICS", "{", "CANDOR_KAFKA__TOPICS"),
        ("BOOTSTRAP", "h:9092", "CANDOR_KAFKA__TOPICS"),
        ("PROPERTIES", '{"enable.auto.commit": true}', "enable.auto.commit is decided by Candor"),
        ("PROPERTIES", "hush", "CANDOR_KAFKA: it, or a value nested in it, is not JSON"),
    ],
)
def test_a_complaint_about_kafka_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, complaint: str
) -> None:
    monkeypatch.setenv(f"CANDOR_KAFKA__{variable}", value)
    with pytest.raises(InvalidInputError, match=complaint) as raised:
        load_settings()
    assert "hush" not in str(raised.value)


def test_properties_of_the_kafka_client_are_masked() -> None:
    settings = load_settings(kafka={"properties": {"sasl.password": "hush"}})
    assert "sasl.password" in str(settings.masked())
    assert "hush" not in str(settings.masked())
    with pytest.raises(InvalidInputError, match="orders:native"):
        load_settings(kafka={"topics": 5})


def test_the_country_of_numbers_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().identifiers.phone_region is None
    monkeypatch.setenv("CANDOR_IDENTIFIERS__PHONE_REGION", "AU")
    assert load_settings().identifiers.phone_region == "AU"
    monkeypatch.setenv("CANDOR_IDENTIFIERS__PHONE_REGION", "Oz")
    with pytest.raises(InvalidInputError, match="CANDOR_IDENTIFIERS__PHONE_REGION: use a country"):
        load_settings()
    monkeypatch.delenv("CANDOR_IDENTIFIERS__PHONE_REGION")
    assert load_settings(identifiers={"phone_region": None}).identifiers.phone_region is None
