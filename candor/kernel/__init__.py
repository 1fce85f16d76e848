"""What every package stands on: settings, stores, errors, time, secrets and the ports."""
