/** The reader's chats, newest first, page by page. */

import * as api from '../api';
import type { Chat, ChatChanges } from '../api/types';
import { grouped } from './grouping';

export class ChatList {
  chats: Chat[] = $state.raw([]);
  archived: boolean = $state(false);
  loaded: boolean = $state(false);
  private next: string | null = $state(null);
  readonly more: boolean = $derived(this.next !== null);
  readonly groups = $derived(grouped(this.chats, Date.now()));

  /** The first page, from the server. What was there stays until then. */
  async load(): Promise<void> {
    const archived = this.archived;
    const page = await api.listChats({ archived });
    if (archived !== this.archived) return; // the reader went on meanwhile
    const oldest = page.chats.at(-1)?.updated_at ?? 0;
    // Later pages that have been shown stay.
    const rest = page.next === null ? [] : this.chats.filter((chat) => chat.updated_at < oldest && chat.archived === archived);
    this.chats = [...page.chats, ...rest];
    if (rest.length === 0) this.next = page.next;
    this.loaded = true;
  }

  async showArchived(archived: boolean): Promise<void> {
    this.archived = archived;
    this.chats = [];
    this.next = null;
    this.loaded = false;
    await this.load();
  }

  async loadMore(): Promise<void> {
    if (this.next === null) return;
    const page = await api.listChats({ archived: this.archived, cursor: this.next });
    const known = new Set(this.chats.map((chat) => chat.id));
    this.chats = [...this.chats, ...page.chats.filter((chat) => !known.has(chat.id))];
    this.next = page.next;
  }

  /** A chat that is new, or has changed. */
  put(chat: Chat): void {
    const others = this.chats.filter((each) => each.id !== chat.id);
    this.chats = chat.archived === this.archived ? [chat, ...others] : others;
  }

  async change(id: string, changes: ChatChanges): Promise<Chat> {
    const chat = await api.changeChat(id, changes);
    this.put(chat);
    return chat;
  }

  async delete(id: string): Promise<void> {
    await api.deleteChat(id);
    this.chats = this.chats.filter((chat) => chat.id !== id);
  }

  /** The chat `step` places further down the list as it is shown. */
  beside(id: string | null, step: 1 | -1): Chat | null {
    const shown = this.groups.flatMap((group) => group.chats);
    const at = shown.findIndex((chat) => chat.id === id);
    return at < 0 ? (step === 1 ? (shown[0] ?? null) : null) : (shown[at + step] ?? null);
  }
}
