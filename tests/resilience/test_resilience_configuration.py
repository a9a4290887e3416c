"""Configuration: defaults that work, validation, presets, TOML file and environment."""

import pytest

from scorewise_actors import ConfigurationError
from scorewise_actors.resilience import (
    AbortConfiguration,
    AbortManager,
    CheckpointConfiguration,
    CheckpointManager,
    FailureHandler,
    LoggingConfiguration,
    ResilienceConfiguration,
    ResourceConfiguration,
    ResourceMonitor,
    RetryConfiguration,
    RetryManager,
    presets,
    sources,
)


def test_the_default_configuration_is_safe():
    """Everything on, encryption too."""
    config = ResilienceConfiguration()
    assert all(part.enabled for part in (config.checkpoint, config.retry, config.resource, config.abort))
    assert config.checkpoint.encryption_enabled
    assert not config.logging.debug_enabled


@pytest.mark.parametrize(
    ("kind", "field", "value", "words"),
    [
        (
            CheckpointConfiguration,
            "interval",
            0,
            "CheckpointConfiguration.interval must be a number of seconds from 0.1",
        ),
        (
            CheckpointConfiguration,
            "retention_count",
            0,
            "retention_count must be a whole number of checkpoints from 1 to",
        ),
        (CheckpointConfiguration, "retention_count", 2.5, "retention_count must be a whole number"),
        (CheckpointConfiguration, "storage_path", 7, "storage_path must be a folder's path, got 7"),
        (CheckpointConfiguration, "storage_path", "", "storage_path must be a folder's path, got ''"),
        (CheckpointConfiguration, "encryption_enabled", "yes", "encryption_enabled must be a bool, got 'yes'"),
        (
            RetryConfiguration,
            "max_concurrent_retries",
            0,
            "max_concurrent_retries must be a whole number of retries from 1",
        ),
        (RetryConfiguration, "default_policy", "", "default_policy must be the name of a policy, got ''"),
        (RetryConfiguration, "enabled", 1, "enabled must be a bool, got 1"),
        (
            ResourceConfiguration,
            "cpu_limit_percent",
            101,
            "cpu_limit_percent must be a number of percent from 1 to 100",
        ),
        (ResourceConfiguration, "memory_limit_mb", float("nan"), "memory_limit_mb must be a number of MB"),
        (AbortConfiguration, "evaluation_interval", float("inf"), "evaluation_interval must be a number of seconds"),
        (AbortConfiguration, "min_operations_before_eval", True, "min_operations_before_eval must be a whole number"),
        (LoggingConfiguration, "debug_enabled", "on", "debug_enabled must be a bool, got 'on'"),
    ],
)
def test_a_bad_value_is_refused_when_written_down_and_when_changed(kind, field, value, words):
    """With field, range and value."""
    with pytest.raises(ConfigurationError, match=words):
        kind(**{field: value})
    config = kind()
    before = getattr(config, field)
    with pytest.raises(ConfigurationError, match=words):
        setattr(config, field, value)
    assert getattr(config, field) == before


def test_unknown_fields_are_refused():
    """A misspelt field is no field, neither at construction nor later."""
    with pytest.raises(TypeError, match="max_concurent_retries"):
        RetryConfiguration(max_concurent_retries=3)
    with pytest.raises(AttributeError):
        RetryConfiguration().max_concurent_retries = 3
    with pytest.raises(ConfigurationError, match=r"ResilienceConfiguration.retry must be a RetryConfiguration"):
        ResilienceConfiguration(retry={"enabled": True})


@pytest.mark.parametrize("given", [ResilienceConfiguration(), {}, "production"], ids=["whole", "dict", "text"])
@pytest.mark.parametrize(
    "manager",
    [CheckpointManager, RetryManager, ResourceMonitor, AbortManager],
    ids=lambda m: m.__name__,
)
def test_a_manager_refuses_what_is_not_its_configuration(manager, given):
    """When it is made and not in its first call; the whole configuration in place of its part is a likely slip."""
    with pytest.raises(ConfigurationError, match=f"{manager.__name__} takes .*, got "):
        manager(given)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: CheckpointManager(key=5), "key must be 32 bytes, their base64 or None, got a int"),
        (lambda: AbortManager(notify="ops@example.org"), "notify must be a function or None, got 'ops@example.org'"),
        (lambda: FailureHandler(handler_timeout="3"), "handler_timeout must be a number of seconds from .* got '3'"),
        (lambda: RetryManager(rng=7), "rng must be a random.Random or None, got a int"),
        (lambda: ResourceMonitor(connection="system"), "connection must be the tree of a system .*, got a str"),
        (lambda: CheckpointConfiguration(storage_path="a\0b"), "storage_path must be a folder's path"),
    ],
    ids=["key", "notify", "timeout", "rng", "connection", "path"],
)
def test_what_a_manager_is_given_is_checked_when_it_is_made(make, words):
    """Not days later, when it is needed."""
    with pytest.raises(ConfigurationError, match=words):
        make()


def test_presets_are_new_objects_each_time():
    """Changing one changes no other."""
    presets.production().retry.enabled = False
    assert presets.production().retry.enabled
    assert presets.production("here").checkpoint.retention_count == 20
    assert presets.development().abort.enabled is False
    assert presets.development().checkpoint.encryption_enabled is False


def test_file_and_environment_come_over_the_defaults(tmp_path):
    """The environment wins over the file; what neither names is the default."""
    file = tmp_path / "resilience.toml"
    file.write_text(
        '[retry]\nmax_concurrent_retries = 3\ndefault_policy = "aggressive"\n[checkpoint]\nstorage_path = "here"\n'
        "[resource]\nmonitoring_interval = 2\n"
    )
    config = sources.load(
        file,
        {
            "SCOREWISE_RESILIENCE_RETRY_MAX_CONCURRENT_RETRIES": "7",
            "SCOREWISE_RESILIENCE_ABORT_ENABLED": "off",
            "SCOREWISE_RESILIENCE_RESOURCE_CPU_LIMIT_PERCENT": "75.5",
            "SCOREWISE_RESILIENCE_CHECKPOINT_RETENTION_COUNT": "4",
            "UNRELATED": "x",
        },
    )
    assert (config.retry.max_concurrent_retries, config.retry.default_policy) == (7, "aggressive")
    assert (config.abort.enabled, config.resource.cpu_limit_percent, config.resource.monitoring_interval) == (
        False,
        75.5,
        2,
    )
    assert (str(config.checkpoint.storage_path), config.checkpoint.retention_count) == ("here", 4)
    assert config.resource.memory_limit_mb == ResourceConfiguration().memory_limit_mb


@pytest.mark.parametrize("table", ["resilience", "tool.scorewise.resilience"])
def test_the_settings_may_stand_below_a_table_of_their_own(tmp_path, table):
    """In a file that others share."""
    file = tmp_path / "shared.toml"
    file.write_text(f"[other]\nx = 1\n[{table}.abort]\nevaluation_interval = 5\n")
    assert sources.from_toml(file).abort.evaluation_interval == 5


@pytest.mark.parametrize("table", ["resilience", "tool.scorewise.resilience"])
def test_a_table_without_settings_is_ours_as_well(tmp_path, table):
    """All defaults; the tables beside it are still those of others."""
    file = tmp_path / "shared.toml"
    file.write_text(f"[other]\nx = 1\n[{table}]\n")
    assert sources.from_toml(file) == ResilienceConfiguration()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[retry]\nmax_tries = 3", r"\[retry\] max_tries: there is no such setting; RetryConfiguration has enabled,"),
        ("[retries]\nenabled = true", r"unknown table \[retries\]; the tables are checkpoint, retry,"),
        ("[retry]\nmax_concurrent_retries = 0", r"\[retry\] max_concurrent_retries: .* from 1 to 1000, got 0"),
        ("retry = 3", "retry must be a table of settings, got 3"),
        ("[retry\n", "is not TOML"),
        (f"[retry]\nmax_concurrent_retries = {'7' * 5000}", "has a number of more than 4300 digits"),
        ("[retry]\ndefault_policy = 'ä'", "is not TOML: 'utf-8' codec"),
        ("resilience = 3", "resilience must be a table of tables, got 3"),
        ("tool = 3", "tool must be a table of settings|unknown table .tool."),
    ],
)
def test_a_bad_file_is_refused_with_the_place(tmp_path, text, words):
    """File, table and key."""
    file = tmp_path / "bad.toml"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(ConfigurationError, match=f"bad.toml.*{words}"):
        sources.load(file, {})


def test_a_missing_file_is_refused(tmp_path):
    """With its name."""
    with pytest.raises(ConfigurationError, match=r"none.toml cannot be read: No such file"):
        sources.from_toml(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("RETRY_MAX", "3", "SCOREWISE_RESILIENCE_RETRY_MAX: there is no such setting; RetryConfiguration has enabled,"),
        ("RETRIES_X", "3", "SCOREWISE_RESILIENCE_RETRIES_X: there is no such setting; they begin with SCOREWISE"),
        ("RETRY_ENABLED", "maybe", "SCOREWISE_RESILIENCE_RETRY_ENABLED must be true or false, got 'maybe'"),
        ("RESOURCE_MEMORY_LIMIT_MB", "much", "MEMORY_LIMIT_MB must be a number, got 'much'"),
        ("RETRY_MAX_CONCURRENT_RETRIES", "2.5", "MAX_CONCURRENT_RETRIES: .*whole number .*got 2.5"),
    ],
)
def test_a_bad_variable_is_refused_by_name(name, value, words):
    """Also one that only looks like ours."""
    with pytest.raises(ConfigurationError, match=words):
        sources.from_environment({f"SCOREWISE_RESILIENCE_{name}": value})
