"""A chat over documents: questions one after the other, the history goes with each. In process or with a server."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, closing
from pathlib import Path
from typing import TypedDict, Unpack

from ragline.answers import Answer, Heard, answer_of
from ragline.errors import BadInput, TooLarge
from ragline.loops import Loop
from ragline.place import Named, Place
from ragline.types import Json

MODEL = "extractive"
ROLES = ("system", "user", "assistant")
MAX_SAVED_BYTES = 64 << 20


class Message(TypedDict):
    """A message as OpenAI has them. `role` is user, assistant or system."""

    role: str
    content: str


class Conversation:
    """What was said so far, and how the next question is asked.

    `history` is a list to read and to edit: questions and answers in turn. `last` is the last answer, with its sources.
    `named` says what the chat is about, `parameters` go to the model as they are, such as `{"temperature": 0}`.
    """

    def __init__(
        self,
        place: Place,
        *,
        model: str = MODEL,
        system: str | None = None,
        parameters: Mapping[str, Json] | None = None,
        named: Named,
    ) -> None:
        self.model = model
        self.system = system
        self.parameters = dict(parameters or {})
        self.named = named
        self.history: list[Message] = []
        self.last: Answer | None = None
        self._place = place

    def clear(self) -> None:
        """Forget what was said."""
        self.history.clear()
        self.last = None

    def save(self, path: Path | str) -> None:
        """Write model, system prompt and history as JSON; what was saved there stays until all is written.

        Half a surrogate pair, which a model may send, becomes a question mark.
        """
        path = Path(path).resolve()  # a link stays one
        saved = {"model": self.model, "system": self.system, "history": self.history}
        written = json.dumps(saved, ensure_ascii=False, indent=1).encode("utf-8", "replace")
        unfinished = path.with_name(f"{path.name}.part")
        unfinished.write_bytes(written)
        unfinished.replace(path)

    def load(self, path: Path | str) -> None:
        """Go on where a saved chat was; what it is about stays. Raises BadInput for what is none, OSError."""
        path = Path(path)
        if (size := path.stat().st_size) > MAX_SAVED_BYTES:
            raise TooLarge(f"{path.name!r}: {size} bytes, and a saved chat may have {MAX_SAVED_BYTES}")
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{path.name!r} is no saved chat: {error}") from error
        match saved:
            case {"model": str(model), "system": str() | None as system, "history": list(history)}:
                messages = [message_of(each, f"{path.name!r}: history[{n}]") for n, each in enumerate(history)]
            case _:
                raise BadInput(f"{path.name!r} is no saved chat: it needs model, system and history")
        self.model, self.system, self.history, self.last = model, system, messages, None

    async def _ask(self, question: str) -> Answer:
        answer = answer_of(await self._place.complete(self._body(question), self.named))
        return self._kept(question, answer)

    def _events(self, question: str) -> AsyncGenerator[Mapping[str, Json], None]:
        return self._place.stream(self._body(question), self.named)

    def _body(self, question: str) -> Mapping[str, Json]:
        system: list[Message] = [{"role": "system", "content": self.system}] if self.system else []
        asked: Message = {"role": "user", "content": question}
        messages = [{"role": said["role"], "content": said["content"]} for said in (*system, *self.history, asked)]
        return {**self.parameters, "model": self.model, "messages": messages}

    def _kept(self, question: str, answer: Answer) -> Answer:
        self.history += [{"role": "user", "content": question}, {"role": "assistant", "content": answer.text}]
        self.last = answer
        return answer


class Chat(Conversation):
    """A chat for code that awaits."""

    async def ask(self, question: str) -> Answer:
        """Return the answer, and keep both. Raises NotFound for a model or a document that is not there."""
        return await self._ask(question)

    async def stream(self, question: str) -> AsyncGenerator[str, None]:
        """Yield the answer piece by piece; after the last one both are kept, and `last` has its sources.

        Who leaves early closes the stream, and nothing is kept. Raises as `ask`, and BackendError in between.
        """
        heard = Heard()
        async with aclosing(self._events(question)) as events:
            async for event in events:
                if piece := heard.take(event):
                    yield piece
        self._kept(question, heard.answer)


class BlockingChat(Conversation):
    """A chat for scripts and notebooks: each method waits for its result."""

    def __init__(
        self,
        place: Place,
        loop: Loop,
        *,
        model: str = MODEL,
        system: str | None = None,
        parameters: Mapping[str, Json] | None = None,
        named: Named,
    ) -> None:
        super().__init__(place, model=model, system=system, parameters=parameters, named=named)
        self._loop = loop

    def ask(self, question: str) -> Answer:
        return self._loop.wait(lambda: self._ask(question))

    def stream(self, question: str) -> Iterator[str]:
        heard = Heard()
        with closing(self._loop.items(lambda: self._events(question))) as events:
            for event in events:
                if piece := heard.take(event):
                    yield piece
        self._kept(question, heard.answer)


class Asking:
    """Whom questions are asked, for code that awaits: an installation of this process, or a server."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.loop = Loop.running()

    async def ask(self, question: str, *, model: str = MODEL, **named: Unpack[Named]) -> Answer:
        """Return a model's answer from what is named. Raises NotFound for a model that no back end has."""
        return await self.chat(model=model, **named).ask(question)

    def chat(
        self,
        *,
        model: str = MODEL,
        system: str | None = None,
        parameters: Mapping[str, Json] | None = None,
        **named: Unpack[Named],
    ) -> Chat:
        """Return a new chat about what is named; `system` is its system prompt."""
        return Chat(self.place, model=model, system=system, parameters=parameters, named=named)


class BlockingAsking:
    """The same for scripts."""

    def __init__(self, place: Place, loop: Loop) -> None:
        self.place = place
        self.loop = loop

    def ask(self, question: str, *, model: str = MODEL, **named: Unpack[Named]) -> Answer:
        return self.chat(model=model, **named).ask(question)

    def chat(
        self,
        *,
        model: str = MODEL,
        system: str | None = None,
        parameters: Mapping[str, Json] | None = None,
        **named: Unpack[Named],
    ) -> BlockingChat:
        return BlockingChat(self.place, self.loop, model=model, system=system, parameters=parameters, named=named)


def message_of(said: object, place: str) -> Message:
    """Return a message. Raises BadInput."""
    match said:
        case {"role": str(role), "content": str(content)} if role in ROLES:
            return {"role": role, "content": content}
    raise BadInput(f"{place}: needs a role, one of {', '.join(ROLES)}, and a content that is a text")
