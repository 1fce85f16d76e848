"""Every setting of one running Candor, read once, frozen, and passed to whoever needs it."""

import json
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from candor.kernel.errors import InvalidInputError
from candor.kernel.objective_settings import (
    AlertmanagerSettings,
    AlertSettings,
    NotifySettings,
    PrometheusSettings,
    WebhookSettings,
)
from candor.kernel.people_settings import (
    ConsentSettings,
    ControllerSettings,
    IdentifierSettings,
    LinkSettings,
)
from candor.kernel.pii_settings import PiiSettings
from candor.kernel.setting_faults import complaints
from candor.kernel.setting_group import Group
from candor.kernel.topics import Shape, read_topics
from candor.kernel.vault_settings import VaultSettings

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
_MIB = 1024 * 1024
_PREFIX, _FILE = "CANDOR_", Path("candor.toml")
_MASK = "********"
_KEY_OF_COMMANDS = "CANDOR_KEY"
"""Where commands that ask a server take their key from; no setting of the server itself."""
UnknownSchema = Literal["accept", "quarantine", "reject"]


_Lapse = Annotated[timedelta, Field(gt=timedelta(0))]
_SubjectType = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
_RESERVED = frozenset(
    {
        "bootstrap.servers",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "group.id",
        "group.protocol",
        "metadata.broker.list",
        "partition.assignment.strategy",
    }
)


def _split(value: object) -> object:
    """Return a text of the environment as the list that it stands for."""
    if not isinstance(value, str):
        return value
    return json.loads(value) if value.lstrip().startswith("[") else value.split(",")


class SpoolSettings(Group):
    """Where acknowledged bytes wait for the telemetry store, how many may wait, and how long.

    At ``max_bytes``, at ``max_age`` of the oldest, and below ``min_free_disk_bytes`` everything is
    refused. From ``soft_share`` of the first two on, debug logs are shed, then browser beacons,
    then traces. ``source_bytes`` is what one key's telemetry may take of the spool, ``source_age``
    how old the oldest of it may be; ``source_budgets`` and ``source_ages`` say the same for keys by
    name. Without them, all share what is there.
    """

    segment_bytes: int = Field(default=64 * _MIB, ge=4096)
    segment_age: timedelta = timedelta(seconds=1)
    max_bytes: int = Field(default=2048 * _MIB, ge=4096)
    max_age: timedelta = Field(default=timedelta(hours=6), gt=timedelta(0))
    soft_share: float = Field(default=0.7, gt=0, le=1)
    source_bytes: int | None = Field(default=None, ge=1)
    source_budgets: dict[str, int] = Field(default_factory=dict)
    source_age: _Lapse | None = None
    source_ages: dict[str, _Lapse] = Field(default_factory=dict)
    min_free_disk_bytes: int = Field(default=256 * _MIB, ge=0)


class DedupeSettings(Group):
    """How long the identity of an accepted event is remembered."""

    window: timedelta = Field(default=timedelta(hours=24), gt=timedelta(0))


class LimitSettings(Group):
    """What one request may weigh; a decompressed body counts in full."""

    body_bytes: int = Field(default=20 * _MIB, ge=1024)
    event_bytes: int = Field(default=256 * 1024, ge=1024)
    events_per_request: int = Field(default=50_000, ge=1)
    future_skew: timedelta = timedelta(hours=24)


class JourneySettings(Group):
    """Which attributes of a span or log record make it a journey event as well.

    ``subjects`` names the attributes that identify a person, the best first, each with its subject
    type. Wherever one of them comes, its value is replaced by the person's pseudonym.
    """

    name: str = Field(default="journey.name", min_length=1)
    instance: str = Field(default="journey.instance", min_length=1)
    step: str = Field(default="journey.step", min_length=1)
    outcome: str = Field(default="journey.outcome", min_length=1)
    channel: str = Field(default="journey.channel", min_length=1)
    subjects: dict[Annotated[str, Field(min_length=1)], _SubjectType] = Field(
        default_factory=lambda: {"enduser.id": "user_id", "enduser.pseudo.id": "anonymous_id"}
    )


class ContractSettings(Group):
    """What becomes of an event whose schema is not registered, by source (the name of its key).

    With ``schema_required``, an event that names no schema counts as one of those.
    """

    unknown_schema: UnknownSchema = "accept"
    sources: dict[str, UnknownSchema] = Field(default_factory=dict)
    schema_required: bool = False


class QuarantineSettings(Group):
    """How long refused events are kept, and up to which size."""

    retention: timedelta = Field(default=timedelta(days=14), ge=timedelta(days=1))
    event_bytes: int = Field(default=_MIB, ge=1024)


class TelemetryLimits(Group):
    """Bounds that every telemetry query carries."""

    query_seconds: int = Field(default=60, ge=1)
    query_memory_bytes: int = Field(default=4096 * _MIB, ge=64 * _MIB)
    loader_threads: int = Field(default=1, ge=1)


class AuthSettings(Group):
    """Who must show a key.

    A verified key is trusted for ``key_cache`` before it is looked up again; `candor keys revoke`
    returns only when that time has passed.
    """

    mode: Literal["required", "open"] = "required"
    key_cache: timedelta = timedelta(seconds=1)


class TracingSettings(Group):
    """Where Candor's own spans go; nowhere without an endpoint."""

    endpoint: str | None = None


class ChecksSettings(Group):
    """Which synthetic checks this process runs, and what it calls the place that it runs them from.

    ``files`` are YAML files, as a JSON list or with commas between them.
    """

    files: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_split)] = ()
    location: str = Field(default="default", pattern=r"^[A-Za-z0-9][-_.A-Za-z0-9]{0,62}$")


class KafkaSettings(Group):
    """Which topics are read, and what their messages hold; none is read without ``bootstrap``.

    ``properties`` are handed to librdkafka as they are, save those that decide when an offset is
    committed, which are Candor's own.
    """

    bootstrap: str | None = None
    topics: Annotated[dict[str, Shape], NoDecode] = Field(default_factory=dict)
    group: str = Field(default="candor", min_length=1)
    properties: dict[str, str | int | float | bool] = Field(default_factory=dict)

    @field_validator("topics", mode="before")
    @classmethod
    def _topics(cls, value: object) -> object:
        return read_topics(value)

    @field_validator("properties")
    @classmethod
    def _ours(
        cls, properties: dict[str, str | int | float | bool]
    ) -> dict[str, str | int | float | bool]:
        for name in sorted(_RESERVED & properties.keys()):
            raise ValueError(f"{name} is decided by Candor; leave it out")
        return properties

    @model_validator(mode="after")
    def _something_to_read(self) -> "KafkaSettings":
        if self.bootstrap and not self.topics:
            raise ValueError("name the topics in CANDOR_KAFKA__TOPICS, such as orders:native")
        return self


class Settings(BaseSettings):
    """The effective settings: environment over ``candor.toml`` over defaults.

    Variables bear the prefix ``CANDOR_`` and nest with ``__``: ``CANDOR_SPOOL__MAX_BYTES``. At
    ``work_port`` ``candor work`` shows what it counts; 0 is nowhere. With ``self_objectives``
    Candor keeps objectives on itself.
    """

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
    )

    telemetry_dsn: str = "chdb:///.candor/telemetry"
    state_dsn: str = "sqlite:///.candor/state.db"
    spool_dir: Path = Path(".candor/spool")
    master_key_file: Path = Path(".candor/master.key")
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    grpc_port: int = Field(default=4317, ge=0, le=65535)
    work_port: int = Field(default=0, ge=0, le=65535)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    auth: AuthSettings = AuthSettings()
    spool: SpoolSettings = SpoolSettings()
    dedupe: DedupeSettings = DedupeSettings()
    limits: LimitSettings = LimitSettings()
    journeys: JourneySettings = JourneySettings()
    identifiers: IdentifierSettings = IdentifierSettings()
    contracts: ContractSettings = ContractSettings()
    quarantine: QuarantineSettings = QuarantineSettings()
    telemetry: TelemetryLimits = TelemetryLimits()
    tracing: TracingSettings = TracingSettings()
    public_url: str | None = Field(default=None, pattern="^https?://")
    alerts: AlertSettings = AlertSettings()
    alertmanager: AlertmanagerSettings = AlertmanagerSettings()
    self_objectives: bool = True
    prometheus: PrometheusSettings = PrometheusSettings()
    webhooks: tuple[WebhookSettings, ...] = ()
    notify: NotifySettings = NotifySettings()
    checks: ChecksSettings = ChecksSettings()
    kafka: KafkaSettings = KafkaSettings()
    pii: PiiSettings = PiiSettings()
    vault: VaultSettings = VaultSettings()
    consent: ConsentSettings = ConsentSettings()
    controller: ControllerSettings = ControllerSettings()
    links: LinkSettings = LinkSettings()

    @field_validator("telemetry_dsn")
    @classmethod
    def _telemetry_scheme(cls, dsn: str) -> str:
        if urlsplit(dsn).scheme not in {"chdb", "http", "https"}:
            raise ValueError("use chdb:///path or http[s]://user:password@host:8123/database")
        return dsn

    @field_validator("state_dsn")
    @classmethod
    def _state_scheme(cls, dsn: str) -> str:
        if not dsn.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise ValueError(
                "use sqlite:///path or postgresql+psycopg://user:password@host/database"
            )
        return dsn

    @model_validator(mode="after")
    def _open_only_on_loopback(self) -> "Settings":
        if self.auth.mode == "open" and self.host not in LOOPBACK_HOSTS:
            raise ValueError("auth.mode=open is allowed on a loopback host only")
        return self

    @property
    def is_embedded(self) -> bool:
        """Whether the telemetry store lives inside this process."""
        return self.telemetry_dsn.startswith("chdb:")

    def masked(self) -> dict[str, object]:
        """Return the settings as JSON values, with whatever may be a secret masked.

        Those are the passwords of addresses, and every property of the Kafka client.
        """
        values: dict[str, object] = self.model_dump(mode="json")
        for name in ("telemetry_dsn", "state_dsn"):
            values[name] = mask_password(str(values[name]))
        kafka: dict[str, object] = self.kafka.model_dump(mode="json")
        values["kafka"] = kafka | {"properties": dict.fromkeys(self.kafka.properties, _MASK)}
        return values

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then the environment, then ``candor.toml`` of the working directory."""
        del dotenv_settings, file_secret_settings
        toml = TomlConfigSettingsSource(settings_cls, _FILE)
        return init_settings, env_settings, toml


def load_settings(**overrides: object) -> Settings:
    """Return the effective settings.

    Raises:
        InvalidInputError: a setting is wrong; the message has one line for each, naming it.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # the overrides are validated here
    except ValidationError as error:
        raise InvalidInputError("\n".join(complaints(error, _FILE, _PREFIX))) from None
    except SettingsError as error:  # a variable that should be JSON
        raise InvalidInputError(
            f"{_variable_of(error)}: it, or a value nested in it, is not JSON."
        ) from None
    except UnicodeDecodeError:
        raise InvalidInputError(f"{_FILE} is no text in UTF-8.") from None
    except ValueError as error:  # it is no TOML; the error says where
        raise InvalidInputError(f"{_FILE} is no TOML: {error}.") from None
    except OSError as error:
        raise InvalidInputError(f"{_FILE} cannot be read ({error.strerror}).") from None


def unknown_variables(settings: Settings, environment: dict[str, str] | None = None) -> list[str]:
    """Return the names of ``CANDOR_`` variables that no setting reads, sorted; likely misspelt."""
    names = environment if environment is not None else os.environ
    known = {"CANDOR_" + name.upper() for name in type(settings).model_fields}
    return sorted(
        name
        for name in names
        if name.startswith("CANDOR_")
        and name.split("__", 1)[0] not in known
        and not name.startswith("CANDOR_TEST_")
        and name != _KEY_OF_COMMANDS
    )


def mask_password(dsn: str) -> str:
    """Return the address with its password, if it has one, replaced."""
    password = urlsplit(dsn).password
    return dsn.replace(f":{password}@", f":{_MASK}@") if password else dsn


def _variable_of(error: SettingsError) -> str:
    """Return the variable, or the group of variables, whose text could not be read."""
    found = re.search(r'field "(?P<name>\w+)"', str(error))
    return f"CANDOR_{found['name'].upper()}" if found else "A variable"
