"""What all tests share.

``pytest --hypothesis-profile thorough`` looks longer for what breaks a property.
"""

from hypothesis import settings

# No deadline: these machines are noisy, and time is not what is tested.
settings.register_profile("thinkctl", deadline=None, max_examples=50)
settings.register_profile("thorough", deadline=None, max_examples=1_000)
settings.load_profile("thinkctl")
