from pathlib import Path

import pytest

from candor.kernel.errors import InvalidInputError
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
