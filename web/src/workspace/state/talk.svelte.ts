/** The chat that is open: its visible branch, the answers being written, and what the reader does with them. */

import { nextFrame } from '../../lib/state/frame';
import * as api from '../api';
import { ApiError } from '../api/request';
import type { Chat, GenerationEvent, Params, TextPart } from '../api/types';
import { isRunning, reduce, type ShownMessage } from './events';
import { askedTogether, begun } from './tree';
import { watch } from './watch';

const PAGE = 40;
const MORE = 100;

export interface TalkEvents {
  /** A chat came to be, or its title, time or place in the list changed. */
  onchat: (chat: Chat) => void;
  /** A call failed behind the reader's back; what they do themselves throws instead. */
  onfault: (error: unknown) => void;
}

export class Talk {
  chat: Chat | null = $state.raw(null);
  branch: ShownMessage[] = $state.raw([]);
  /** The last answer and those asked for together with it; empty where there is one alone. */
  columns: ShownMessage[] = $state.raw([]);
  state: 'new' | 'loading' | 'ready' | 'gone' | 'failed' = $state('new');
  more: boolean = $state(false);
  /** The question on its way to the server. */
  sending: string | null = $state(null);
  broken: boolean = $state(false);

  readonly running: boolean = $derived(this.branch.some(isRunning) || this.columns.some(isRunning));
  /** There is something to stop: an answer, or a question on its way. */
  readonly busy: boolean = $derived(this.running || this.sending !== null);

  private readonly watched = new Map<string, AbortController>();
  private waiting: { message: string; event: GenerationEvent }[] = [];
  private frame: (() => void) | null = null;
  private opened = 0;
  private stopping = false;

  constructor(private readonly told: TalkEvents) {}

  /** Opens a chat, or the place where a new one begins. */
  async open(id: string | null): Promise<void> {
    const turn = ++this.opened;
    this.leave();
    this.chat = null;
    this.branch = [];
    this.columns = [];
    this.more = false;
    this.state = id === null ? 'new' : 'loading';
    if (id === null) return;
    try {
      const [chat, page] = await Promise.all([api.getChat(id), api.getMessages(id, { limit: PAGE })]);
      if (turn !== this.opened) return;
      this.chat = chat;
      this.show(page.messages, page.more);
      this.state = 'ready';
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
      this.show(page.messages, page.more);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status === 401) this.told.onfault(error);
    }
  }

  /** Earlier messages of the branch. */
  async loadEarlier(): Promise<void> {
    const first = this.branch[0];
    const last = this.branch.at(-1);
    if (!first || !last) return;
    const page = await api.getMessages(first.chat_id, { leaf: last.id, before: first.id, limit: MORE });
    if (this.branch[0]?.id !== first.id) return; // the reader went on meanwhile
    this.branch = [...page.messages, ...this.branch];
    this.more = page.more;
  }

  /** Asks. `parent`: the message that the question follows; undefined for the end of the branch. */
  async ask(text: string, models: string[], params: Params, parent?: string | null): Promise<Chat> {
    this.sending = text;
    this.stopping = false;
    try {
      const chat = this.chat ?? (await api.createChat({ models, params }));
      const after = parent === undefined ? (this.branch.at(-1)?.id ?? null) : parent;
      const parts: TextPart[] = [{ type: 'text', text }];
      await this.generate(chat, { parent_id: after, parts, models, params });
      return chat;
    } finally {
      this.sending = null;
    }
  }

  /** Another answer to the question that this one answers. */
  async regenerate(answer: ShownMessage, params: Params): Promise<void> {
    if (!this.chat || answer.parent_id === null || !answer.model) return;
    await this.generate(this.chat, { parent_id: answer.parent_id, parts: null, models: [answer.model], params });
  }

  /** Goes on writing an answer that was stopped, or that reached its limit. */
  async goOn(answer: ShownMessage, params: Params): Promise<void> {
    if (!this.chat) return;
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
    if (!this.chat) return;
    const chat = this.chat;
    const limit = Math.max(PAGE, this.branch.length);
    const page = await api.getMessages(chat.id, { leaf: message, limit });
    this.show(page.messages, page.more);
    const leaf = page.messages.at(-1)?.id;
    if (leaf) this.chat = await api.changeChat(chat.id, { leaf_id: leaf });
  }

  /** Goes on with one of the answers side by side. */
  async choose(answer: ShownMessage): Promise<void> {
    if (!this.chat) return;
    this.branch = [...this.branch.slice(0, -1), answer];
    this.chat = await api.changeChat(this.chat.id, { leaf_id: answer.id });
  }

  async rate(message: ShownMessage, rating: 1 | -1 | null): Promise<void> {
    await api.rateMessage(message.id, rating);
    this.update(message.id, (each) => ({ ...each, rating }));
  }

  async delete(message: ShownMessage): Promise<void> {
    if (!this.chat) return;
    await api.deleteMessage(message.id);
    const page = await api.getMessages(this.chat.id, { limit: PAGE });
    this.show(page.messages, page.more);
  }

  /** Changes models, parameters or title of the open chat. */
  async change(changes: Pick<Partial<Chat>, 'models' | 'params' | 'title'>): Promise<void> {
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

  private async generate(chat: Chat, question: api.Question): Promise<void> {
    const turn = this.opened;
    const started = await api.generate(chat.id, question);
    if (turn !== this.opened) return; // the reader has gone elsewhere; the answer is written all the same
    const { branch, answers } = begun(this.branch, started);
    this.branch = branch;
    this.columns = answers.length > 1 ? answers : [];
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

  private show(messages: ShownMessage[], more: boolean): void {
    this.leave();
    this.branch = messages;
    this.columns = [];
    this.more = more;
    this.follow();
    void this.findColumns().catch((error: unknown) => this.told.onfault(error));
  }

  /** The versions of the last answer, where several models were asked together. */
  private async findColumns(): Promise<void> {
    const last = this.branch.at(-1);
    const chat = this.chat?.id ?? last?.chat_id;
    if (!chat || last?.role !== 'assistant' || last.siblings.length < 2) return;
    const turn = this.opened;
    const pages = await Promise.all(
      last.siblings.map((id) => (id === last.id ? [last] : api.getMessages(chat, { leaf: id, limit: 1 }).then((page) => page.messages))),
    );
    if (turn !== this.opened || this.branch.at(-1)?.id !== last.id) return;
    // A version with something after it is no leaf: it was gone on with, and is not shown beside this one.
    const found = pages.flat().filter((message) => last.siblings.includes(message.id));
    this.columns = askedTogether(last, found);
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
    const changed = (messages: ShownMessage[]): ShownMessage[] =>
      messages.some((each) => each.id === id) ? messages.map((each) => (each.id === id ? change(each) : each)) : messages;
    this.branch = changed(this.branch);
    this.columns = changed(this.columns);
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

function groupByMessage<Item extends { message: string }>(items: readonly Item[]): Map<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const group = groups.get(item.message);
    if (group) group.push(item);
    else groups.set(item.message, [item]);
  }
  return groups;
}
