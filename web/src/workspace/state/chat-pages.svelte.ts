/** One list of chats, newest first, page by page: all that fit a filter. */

import * as api from '../api';
import type { ChatSummary } from '../api/types';

const PAGE = 50;
const LONGEST_PAGE = 200;

export class ChatPages {
  chats: ChatSummary[] = $state.raw([]);
  loaded: boolean = $state(false);
  private next: string | null = $state(null);
  readonly more: boolean = $derived(this.next !== null);
  private turn = 0;

  /** holds: what the server's filter `where` says, for a chat at hand. */
  constructor(
    private readonly where: api.ChatFilter,
    private readonly holds: (chat: ChatSummary) => boolean,
  ) {}

  /** What is shown, anew from the server, and the first page at least. What was there stays until then. */
  async load(): Promise<void> {
    const turn = ++this.turn;
    const limit = Math.min(LONGEST_PAGE, Math.max(PAGE, this.chats.length));
    const page = await api.listChats({ ...this.where, limit });
    if (turn !== this.turn) return; // asked again meanwhile
    const oldest = page.chats.at(-1);
    const fresh = new Set(page.chats.map((chat) => chat.id));
    const rest =
      page.next === null || !oldest
        ? []
        : this.chats.filter((chat) => chat.updated_at <= oldest.updated_at && !fresh.has(chat.id));
    this.chats = [...page.chats, ...rest];
    if (rest.length === 0) this.next = page.next;
    this.loaded = true;
  }

  async loadMore(): Promise<void> {
    const cursor = this.next;
    if (cursor === null) return;
    const page = await api.listChats({ ...this.where, cursor, limit: PAGE });
    if (this.next !== cursor) return; // it has come already
    const known = new Set(this.chats.map((chat) => chat.id));
    this.chats = [...this.chats, ...page.chats.filter((chat) => !known.has(chat.id))];
    this.next = page.next;
  }

  /** A chat that is new, or has changed: into its place here, or out of it. */
  put(chat: ChatSummary): void {
    const others = this.chats.filter((each) => each.id !== chat.id);
    if (!this.holds(chat)) {
      if (others.length < this.chats.length) this.chats = others;
      return;
    }
    const at = others.findIndex((each) => each.updated_at < chat.updated_at);
    // Older than all that have been loaded: it comes with its page.
    if (at < 0 && this.more) this.chats = others;
    else this.chats = at < 0 ? [...others, chat] : others.toSpliced(at, 0, chat);
  }

  remove(id: string): void {
    this.chats = this.chats.filter((chat) => chat.id !== id);
  }
}
