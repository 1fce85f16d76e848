"""What recurs for the vault: values that nobody can be found for do not stay for ever."""

from datetime import timedelta

from candor.kernel.jobs import Job
from candor.kernel.services import Services
from privacy.vault.assembly import open_desk
from privacy.vault.destruction import destroy_day_keys


def destroy_old_day_keys(services: Services) -> None:
    """Destroy the keys of days that ended longer ago than ``vault.day_keys_kept_for``."""
    at = services.clock()
    before = (at - services.settings.vault.day_keys_kept_for).date()
    destroy_day_keys(services.engine, open_desk(services).register, before, at)


JOBS: tuple[Job, ...] = (Job("privacy.destroy_day_keys", timedelta(hours=1), destroy_old_day_keys),)
