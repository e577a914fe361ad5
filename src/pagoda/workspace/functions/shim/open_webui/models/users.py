"""Users. Who is no administrator's function sees the user of the request alone in lists."""

from __future__ import annotations

from typing import Any

from pagoda.workspace.functions.plugin_process.peer import ask_now

from ..served import Nothing, ServedList, ServedModel, served


class UserModel(ServedModel):
    """A user."""

    id: str
    name: str = ""
    email: str = ""
    role: str = "user"
    profile_image_url: str = ""


User = UserModel


class UsersTable:
    """Looks users up."""

    def get_user_by_id(self, id: str, **_options: Any) -> UserModel | Nothing:  # noqa: A002
        return _user(ask_now("user", id=id))

    def get_user_by_email(self, email: str, **_options: Any) -> UserModel | Nothing:
        return _user(ask_now("user", email=email))

    def get_users(self, *_arguments: Any, **_options: Any) -> ServedList:
        return ServedList(UserModel(**each) for each in ask_now("users"))

    def get_num_users(self, **_options: Any) -> Any:
        return served(len(ask_now("users")))


def _user(found: Any) -> UserModel | Nothing:
    return Nothing() if found is None else UserModel(**found)


Users = UsersTable()
