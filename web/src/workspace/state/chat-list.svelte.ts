/** The reader's chats as the sidebar has them: pinned ones, those in open folders, the rest by time; or one tag's; or the archive. */

import * as api from '../api';
import type { Chat, ChatChanges, ChatSummary } from '../api/types';
import { ChatPages } from './chat-pages.svelte';
import { childrenOf, type Folders } from './folders.svelte';
import { grouped } from './grouping';

const NEWS_MS = 300;

export class ChatList {
  readonly recent = new ChatPages({ folder: 'none', pinned: false }, (chat) => !chat.archived && !chat.pinned && chat.folder_id === null);
  readonly pinned = new ChatPages({ pinned: true }, (chat) => !chat.archived && chat.pinned);
  private readonly archive = new ChatPages({ archived: true }, (chat) => chat.archived);
  private tagged: ChatPages | null = $state.raw(null);
  private inFolders: ReadonlyMap<string, ChatPages> = $state.raw(new Map());

  archived: boolean = $state(false);
  /** Only chats with this tag are shown. */
  tag: string | null = $state(null);
  tags: { tag: string; chats: number }[] = $state.raw([]);

  /** The long list: of the archive, of a tag, or of what lies in no folder. */
  readonly pages: ChatPages = $derived(this.archived ? this.archive : (this.tagged ?? this.recent));
  /** Everything is shown, with pins and folders. */
  readonly whole: boolean = $derived(!this.archived && this.tag === null);
  readonly groups = $derived(grouped(this.pages.chats, Date.now()));
  readonly empty: boolean = $derived.by(() => {
    return this.pages.loaded && this.pages.chats.length === 0 && (!this.whole || this.pinned.chats.length + this.folders.all.length === 0);
  });
  private waiting: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly folders: Folders) {}

  /** Everything that is shown, from the server. What was there stays until then. */
  async load(): Promise<void> {
    const folders = this.folders.load().then(() => this.loadFolders());
    const tags = api.listTags().then((found) => (this.tags = found));
    const lists = this.whole ? [this.recent, this.pinned] : [this.pages];
    await Promise.all([...lists.map((list) => list.load()), folders, tags]);
  }

  async showArchived(archived: boolean): Promise<void> {
    this.archived = archived;
    this.tag = null;
    this.tagged = null;
    await this.load();
  }

  async showTag(tag: string | null): Promise<void> {
    this.archived = false;
    this.tag = tag;
    this.tagged = tag === null ? null : new ChatPages({ tag }, (chat) => !chat.archived && chat.tags.includes(tag));
    await this.load();
  }

  /** A folder's chats; null until it has been opened. */
  inFolder(id: string): ChatPages | null {
    return this.inFolders.get(id) ?? null;
  }

  async openFolder(id: string, open: boolean): Promise<void> {
    this.folders.setOpen(id, open);
    if (open) await this.loadFolder(id);
  }

  /** Reads everything anew in a moment: news of one change often come together with others. */
  loadSoon(onfault: (error: unknown) => void): void {
    this.waiting ??= setTimeout(() => {
      this.waiting = undefined;
      this.load().catch(onfault);
    }, NEWS_MS);
  }

  /** The page goes; nothing is read any more. */
  leave(): void {
    clearTimeout(this.waiting);
    this.waiting = undefined;
  }

  /** As some list has it now; null where none has. */
  find(id: string | null): ChatSummary | null {
    for (const list of this.lists()) {
      const found = list.chats.find((chat) => chat.id === id);
      if (found) return found;
    }
    return null;
  }

  /** An answer in a chat has begun or ended. */
  setRunning(id: string, running: boolean): void {
    const chat = this.find(id);
    if (chat) this.put({ ...chat, running });
  }

  /** A chat that is new, or has changed. */
  put(chat: ChatSummary): void {
    for (const list of this.lists()) list.put(chat);
  }

  async change(id: string, changes: ChatChanges): Promise<Chat> {
    const chat = await api.changeChat(id, changes);
    this.put(chat);
    if ('folder_id' in changes || 'archived' in changes) await this.folders.load();
    return chat;
  }

  async setTags(chat: ChatSummary, tags: string[]): Promise<string[]> {
    const kept = await api.setTags(chat.id, tags);
    this.put({ ...chat, tags: kept });
    this.tags = await api.listTags();
    return kept;
  }

  async delete(id: string): Promise<void> {
    await api.deleteChat(id);
    for (const list of this.lists()) list.remove(id);
    await this.folders.load();
  }

  /** What it held moves up to where it was. */
  async deleteFolder(id: string): Promise<void> {
    await this.folders.delete(id);
    await this.load();
  }

  /** The chat `step` places further down the list as it is shown. */
  beside(id: string | null, step: 1 | -1): ChatSummary | null {
    const shown = this.shown();
    const at = shown.findIndex((chat) => chat.id === id);
    return at < 0 ? (step === 1 ? (shown[0] ?? null) : null) : (shown[at + step] ?? null);
  }

  private shown(): ChatSummary[] {
    const long = this.groups.flatMap((group) => group.chats);
    if (!this.whole) return long;
    const within = (parent: string | null): ChatSummary[] =>
      childrenOf(this.folders.all, parent, document.documentElement.lang)
        .filter((folder) => this.folders.isOpen(folder.id))
        .flatMap((folder) => [...within(folder.id), ...(this.inFolder(folder.id)?.chats ?? [])]);
    // A pinned chat is in its folder too.
    return [...new Map([...this.pinned.chats, ...within(null), ...long].map((chat) => [chat.id, chat])).values()];
  }

  private lists(): ChatPages[] {
    return [this.recent, this.pinned, this.archive, ...(this.tagged ? [this.tagged] : []), ...this.inFolders.values()];
  }

  private async loadFolders(): Promise<void> {
    const open = this.folders.all.filter((folder) => this.folders.isOpen(folder.id));
    await Promise.all(open.map((folder) => this.loadFolder(folder.id)));
  }

  private async loadFolder(id: string): Promise<void> {
    const known = this.inFolders.get(id);
    const pages = known ?? new ChatPages({ folder: id }, (chat) => !chat.archived && chat.folder_id === id);
    if (!known) this.inFolders = new Map([...this.inFolders, [id, pages]]);
    await pages.load();
  }
}
