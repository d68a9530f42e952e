"""What every service stands on: serving, settings, telemetry, sealing, processes. Imported lightly: no code here."""
