"""What a line that begins with a slash does in `pagoda chat`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pagoda.cli.conversation import Conversation

HELP = """\
  /help           show this
  /clear          forget the conversation
  /system [TEXT]  show or set the system prompt; "/system none" removes it
  /save FILE      write the conversation to a Markdown file
  /model          show the model and its context
  /exit           leave (so does Ctrl-D)
  Ctrl-C stops an answer. A line that ends with \\ goes on in the next one.
  \"\"\" opens and closes a longer text."""

NAMES = ("/help", "/clear", "/system", "/save", "/model", "/exit")


class Commands:
    """Runs slash commands on a conversation; `say` shows a line."""

    def __init__(self, conversation: Conversation, model_line: str, say: Callable[[str], None]) -> None:
        self._conversation = conversation
        self._model_line = model_line
        self._say = say

    def run(self, line: str) -> bool:
        """Whether the chat goes on after this command."""
        name, _, argument = line.strip().partition(" ")
        argument = argument.strip()
        match name:
            case "/help" | "/?":
                self._say(HELP)
            case "/clear":
                self._conversation.clear()
                self._say("The conversation is forgotten.")
            case "/system":
                self._system(argument)
            case "/save":
                self._save(argument)
            case "/model":
                self._say(self._model_line)
            case "/exit" | "/quit" | "/bye":
                return False
            case _:
                self._say(f"{name} is not a command; /help lists them.")
        return True

    def _system(self, text: str) -> None:
        if text == "none":
            self._conversation.system = None
        elif text:
            self._conversation.system = text
        self._say(f"System prompt: {self._conversation.system or 'none'}")

    def _save(self, name: str) -> None:
        if not name:
            self._say("Name a file: /save chat.md")
            return
        path = Path(name).expanduser()
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(self._as_markdown())
        except FileExistsError:
            self._say(f"{path} exists already; choose another name.")
        except OSError as error:
            self._say(f"{path} cannot be written: {error.strerror}.")
        else:
            self._say(f"Saved to {path}.")

    def _as_markdown(self) -> str:
        system = self._conversation.system
        messages = [{"role": "system", "content": system}] if system else []
        messages += self._conversation.messages
        return "\n".join(f"## {message['role']}\n\n{message['content'].strip()}\n" for message in messages)
