/** The chat that is open: its visible branch, the answers being written, and what the reader does with them. */

import { nextFrame } from '../../lib/state/frame';
import * as api from '../api';
import { ApiError } from '../api/request';
import { deleteFile } from '../api/asking';
import type { AskedPart, Chat, GenerationEvent, Message, MessagePage, Params } from '../api/types';
import { isRunning, reduce, textOf, type ShownMessage } from './events';
import { StoredChat, TemporaryChat, type ChatSource } from './sources';
import { branchWith } from './branch-with';
import { begun, joined } from './tree';
import { watch } from './watch';

const PAGE = 30;
const MORE = 100;

export interface TalkEvents {
  /** A chat came to be, or its title, time or place in the list changed. */
  onchat: (chat: Chat) => void;
  /** A call failed behind the reader's back; what they do themselves throws instead. */
  onfault: (error: unknown) => void;
  /** Of the functions with a switch, those that are on. */
  filters: () => string[];
}

export class Talk {
  /** null for a new and for a temporary chat. */
  chat: Chat | null = $state.raw(null);
  /** Nothing of this chat is kept: it ends when it is left. */
  temporary: boolean = $state(false);
  branch: ShownMessage[] = $state.raw([]);
  /** The last answer and those asked for together with it, with all versions; empty where there is one alone. */
  columns: ShownMessage[] = $state.raw([]);
  state: 'new' | 'loading' | 'ready' | 'gone' | 'failed' = $state('new');
  more: boolean = $state(false);
  /** The question on its way to the server: its words, or the names of its files. */
  sending: string | null = $state(null);
  broken: boolean = $state(false);
  /** Where a chat that begins here will lie. */
  folder: string | null = $state(null);
  /** The message to be shown, until it has been. */
  sought: string | null = $state(null);

  readonly running: boolean = $derived(this.branch.some(isRunning) || this.columns.some(isRunning));
  /** There is something to stop: an answer, or a question on its way. */
  readonly busy: boolean = $derived(this.running || this.sending !== null);
  /** An answer that ended early can be gone on with. */
  readonly goesOn: boolean = $derived(!this.temporary);

  private readonly watched = new Map<string, AbortController>();
  private waiting: { message: string; event: GenerationEvent }[] = [];
  private frame: (() => void) | null = null;
  private opened = 0;
  private stopping = false;
  private source: ChatSource | null = null;

  constructor(private readonly told: TalkEvents) {}

  /** Opens a chat, or the place where a new one begins. message: shows it, on the branch where it lies. */
  async open(id: string | null, message?: string): Promise<void> {
    const turn = ++this.opened;
    this.forget();
    this.leave();
    this.temporary = false;
    this.source = id === null ? null : new StoredChat(id);
    this.chat = null;
    this.branch = [];
    this.columns = [];
    this.more = false;
    this.sought = null;
    this.state = id === null ? 'new' : 'loading';
    if (id === null) return;
    try {
      const [chat, page] = await Promise.all([api.getChat(id), branchWith(id, message, PAGE)]);
      if (turn !== this.opened) return;
      this.chat = chat;
      this.show(page);
      this.state = 'ready';
      if (message === undefined || !page.messages.some((each) => each.id === message)) return;
      this.sought = message;
      const leaf = page.messages.at(-1)?.id;
      if (leaf !== undefined && leaf !== chat.leaf_id) this.chat = await api.changeChat(id, { leaf_id: leaf });
    } catch (error) {
      if (turn !== this.opened) return;
      this.state = error instanceof ApiError && error.status === 404 ? 'gone' : 'failed';
      if (this.state === 'failed') this.told.onfault(error);
    }
  }

  /** What the server has now; for a tab that comes back, or whose neighbour changed something. */
  async refresh(): Promise<void> {
    const id = this.chat?.id;
    if (!id || this.running || this.sending !== null) return;
    const turn = this.opened;
    try {
      const [chat, page] = await Promise.all([
        api.getChat(id),
        api.getMessages(id, { limit: Math.max(PAGE, this.branch.length) }),
      ]);
      if (turn !== this.opened || this.running) return;
      this.chat = chat;
      this.show(page);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status === 401) this.told.onfault(error);
    }
  }

  /** Earlier messages of the branch. */
  async loadEarlier(): Promise<void> {
    const first = this.branch[0];
    const last = this.branch.at(-1);
    if (!first || !last) return;
    const page = await this.source?.page({ leaf: last.id, before: first.id, limit: MORE });
    if (!page || this.branch[0]?.id !== first.id) return; // the reader went on meanwhile
    this.branch = [...page.messages, ...this.branch];
    this.more = page.more;
  }

  /** What is asked next leaves nothing behind, or is kept as usual. For a chat that has not begun. */
  setTemporary(temporary: boolean): void {
    this.temporary = temporary;
    this.source = temporary ? new TemporaryChat() : null;
  }

  /**
   * Asks. `parent`: the message that the question follows; undefined for the end of the branch. Gives the chat that was
   * asked in; null for a temporary one.
   */
  async ask(parts: AskedPart[], models: string[], params: Params, parent?: string | null): Promise<Chat | null> {
    this.sending = textOf({ parts }) || parts.flatMap((part) => ('name' in part && part.name) || []).join(', ');
    this.stopping = false;
    let begun: Chat | null = null;
    try {
      if (!this.temporary && !this.chat) begun = await this.create(models, params);
      const chat = this.temporary ? null : (this.chat ?? begun);
      if (begun) this.source = new StoredChat(begun.id);
      const after = parent === undefined ? (this.branch.at(-1)?.id ?? null) : parent;
      await this.generate(chat, { parent_id: after, parts, models, params });
      return chat;
    } catch (error) {
      if (begun && isRefusal(error)) await this.takeAway(begun.id);
      throw error;
    } finally {
      this.sending = null;
    }
  }

  /** Another answer to the question that this one answers. */
  async regenerate(answer: ShownMessage, params: Params): Promise<void> {
    if (answer.parent_id === null || !answer.model) return;
    await this.generate(this.chat, { parent_id: answer.parent_id, parts: null, models: [answer.model], params, ...(answer.group ? { version_of: answer.id } : {}) });
  }

  /** Goes on writing an answer that was stopped, or that reached its limit. */
  async goOn(answer: ShownMessage, params: Params): Promise<void> {
    await this.generate(this.chat, { parent_id: null, parts: null, models: [], params, continue_id: answer.id });
  }

  /** Ends what is being written with what it has; a question on its way is stopped once it has arrived. */
  async stop(): Promise<void> {
    this.stopping = this.sending !== null;
    const runs = [...this.branch, ...this.columns].filter(isRunning).flatMap((each) => each.generation ?? []);
    await Promise.all([...new Set(runs)].map((run) => api.stopGeneration(run)));
  }

  /** Shows another version of a message, with what followed it. */
  async goTo(message: string): Promise<void> {
    const page = await this.source?.page({ leaf: message, limit: Math.max(PAGE, this.branch.length) });
    const leaf = page?.messages.at(-1)?.id;
    if (!page || leaf === undefined) return;
    this.show(page);
    await this.goOnFrom(leaf);
  }

  /** Goes on with one of the answers side by side. */
  async choose(answer: ShownMessage): Promise<void> {
    this.branch = [...this.branch.slice(0, -1), answer];
    await this.goTo(answer.id);
  }

  async rate(message: ShownMessage, rating: 1 | -1 | null): Promise<void> {
    await this.source?.rate(message.id, rating);
    this.update(message.id, (each) => ({ ...each, rating }));
  }

  async delete(message: ShownMessage): Promise<void> {
    await this.source?.delete(message.id);
    const page = await this.source?.page({ limit: PAGE });
    if (page) this.show(page);
  }

  /** Questions that might come next have been made for an answer. */
  takeFollowUps(message: string, followUps: string[]): void {
    this.update(message, (each) => ({ ...each, follow_ups: followUps }));
  }

  /** A message as the server has it now. */
  put(message: Message): void {
    this.update(message.id, (each) => reduce(each, { seq: 0, type: 'done', message }));
  }

  /** What happens to an answer that is not watched. */
  takeOutside(message: string, event: GenerationEvent): void {
    this.take(message, [event]);
  }

  /** Changes models, parameters or title of the open chat. */
  async change(changes: Pick<Partial<Chat>, 'models' | 'params' | 'title' | 'filter_ids'>): Promise<void> {
    if (!this.chat) return;
    this.chat = { ...this.chat, ...changes };
    const changed = await api.changeChat(this.chat.id, changes);
    if (this.chat?.id === changed.id) this.chat = changed;
  }

  /** Watches nothing any more; the answers go on without this page. */
  leave(): void {
    for (const control of this.watched.values()) control.abort();
    this.watched.clear();
    this.waiting = [];
    this.frame?.();
    this.frame = null;
    this.broken = false;
  }

  /** Gives up a temporary chat: its answers are stopped, its files deleted, also where the page is about to go. */
  forget(): void {
    if (!(this.source instanceof TemporaryChat)) return;
    const { files } = this.source;
    this.source = null;
    const runs = new Set([...this.branch, ...this.columns].filter(isRunning).flatMap((each) => each.generation ?? []));
    // What fails here is gone already, or goes with the house's old files.
    const report = (error: unknown): void => console.info('Pagoda: a temporary chat left something.', error);
    for (const run of runs) api.stopGeneration(run).catch(report);
    for (const file of files) deleteFile(file).catch(report);
  }

  private create(models: string[], params: Params): Promise<Chat> {
    const filter_ids = this.told.filters();
    return api.createChat({ models, params, filter_ids, ...(this.folder === null ? {} : { folder_id: this.folder }) });
  }

  /** A chat whose first question was refused was never begun. */
  private async takeAway(chat: string): Promise<void> {
    try {
      await api.deleteChat(chat);
    } catch (error) {
      console.info('Pagoda: an empty chat was not taken away.', error); // the reader hears of the refusal itself
    }
  }

  private async goOnFrom(leaf: string): Promise<void> {
    const { chat } = this;
    await this.source?.showTo(leaf);
    if (chat && this.chat?.id === chat.id) this.chat = { ...this.chat, leaf_id: leaf };
  }

  private async generate(chat: Chat | null, question: api.Question): Promise<void> {
    const turn = this.opened;
    const started = await this.source?.generate({ ...question, filter_ids: this.told.filters() });
    if (!started || turn !== this.opened) return; // the reader has gone elsewhere; the answer is written all the same
    const { branch, answers } = begun(this.branch, started);
    this.branch = branch;
    this.columns = joined(this.columns, answers);
    this.chat = chat;
    this.state = 'ready';
    this.follow();
    void this.tell();
    if (this.stopping) {
      this.stopping = false;
      this.sending = null;
      await this.stop();
    }
  }

  private show({ messages, more, beside }: MessagePage): void {
    this.leave();
    this.branch = messages;
    this.columns = beside;
    this.more = more;
    this.follow();
  }

  private follow(): void {
    for (const message of [...this.branch, ...this.columns]) {
      const run = message.generation;
      if (run === null || this.watched.has(run)) continue;
      const control = new AbortController();
      this.watched.set(run, control);
      void this.followOne(run, message.id, control);
    }
  }

  private async followOne(run: string, message: string, control: AbortController): Promise<void> {
    try {
      const outcome = await watch(run, {
        signal: control.signal,
        onevents: (events) => this.take(message, events),
        onbroken: (broken) => (this.broken = broken),
      });
      if (outcome === 'aborted') return;
      this.flush();
      if (outcome === 'gone') {
        this.update(message, (each) => ({ ...each, generation: null }));
        await this.refresh();
      }
      void this.tell();
    } catch (error) {
      this.update(message, (each) => ({ ...each, generation: null }));
      this.told.onfault(error);
    } finally {
      this.watched.delete(run);
    }
  }

  private take(message: string, events: GenerationEvent[]): void {
    for (const event of events) this.waiting.push({ message, event });
    this.frame ??= nextFrame(() => {
      this.frame = null;
      this.flush();
    });
  }

  private flush(): void {
    const waiting = this.waiting;
    this.waiting = [];
    const byMessage = groupByMessage(waiting);
    for (const [id, found] of byMessage) {
      this.update(id, (message) => found.reduce((made, { event }) => reduce(made, event), message));
    }
  }

  private update(id: string, change: (message: ShownMessage) => ShownMessage): void {
    const before = [...this.branch, ...this.columns].find((each) => each.id === id);
    if (!before) return;
    const after = change(before);
    const changed = (messages: ShownMessage[]): ShownMessage[] =>
      messages.some((each) => each.id === id) ? messages.map((each) => (each.id === id ? after : each)) : messages;
    this.branch = changed(this.branch);
    this.columns = changed(this.columns);
    this.source?.note(after);
  }

  /** The list of chats learns the chat's title and time. */
  private async tell(): Promise<void> {
    const id = this.chat?.id;
    if (!id) return;
    try {
      const chat = await api.getChat(id);
      if (this.chat?.id === id) this.chat = chat;
      this.told.onchat(chat);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      console.info('Pagoda: the chat was not read again.', error.status);
    }
  }
}

/** Whether the server took nothing of a question. After other errors it may be answering all the same. */
function isRefusal(error: unknown): boolean {
  return error instanceof ApiError && ((error.status >= 400 && error.status < 500) || error.status === 503);
}

function groupByMessage<Item extends { message: string }>(items: readonly Item[]): Map<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const group = groups.get(item.message);
    if (group) group.push(item);
    else groups.set(item.message, [item]);
  }
  return groups;
}
