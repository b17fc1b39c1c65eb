"""What a collection is called, shared by all parts of an open one."""


class CollectionName:
    """The name of a collection that can be renamed while its parts work.

    The parts hold this object for their messages and log lines, so that these have the name that
    the collection has when they are written.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        """As the text's, for messages that quote the name."""
        return repr(self._text)

    def change(self, text: str) -> None:
        """Takes another name; all who hold this object have it from then on."""
        self._text = text
