"""One function a foreign format: (extracted files, destination) -> the form that the suite reads."""
