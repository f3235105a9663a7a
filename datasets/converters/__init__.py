"""Converters of foreign formats: functions of (extracted files, destination)."""
