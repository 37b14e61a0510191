"""What all tests share."""

from hypothesis import settings

settings.register_profile("thinkctl", deadline=None)  # these machines are noisy: time is not what is tested
settings.load_profile("thinkctl")
