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
