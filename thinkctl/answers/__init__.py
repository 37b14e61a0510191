"""Answers: from generated text to an answer, and from an answer to the key on which votes are counted.

A :class:`Form` says which kind of answer is expected. Its ``extract`` finds the answer in a text or abstains,
its ``key`` maps every spelling of one value to one string, its ``closed`` says when a forced answer is
finished.

Equality that needs algebra is decided elsewhere: a computer algebra system compares the *keys* of a
question's different answers and joins their votes; nothing here changes for it.
"""

from thinkctl.answers.forms import FORMS, Form, form

__all__ = ["FORMS", "Form", "form"]
