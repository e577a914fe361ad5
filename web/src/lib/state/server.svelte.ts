/** What the page knows of the server: its models, whether it answers, and the key it wants. */

import { listModels } from '../api/client';
import { ChatFailure, type FailureKind } from '../api/errors';
import type { ModelCard } from '../api/types';

export type ServerState = 'connecting' | 'ready' | 'starting' | 'unreachable' | 'unauthorized';

const KEY = 'pagoda.api-key';
const RETRY_MS = 2000;

export class Server {
  state: ServerState = $state('connecting');
  models: ModelCard[] = $state([]);
  chosen: string = $state('');
  apiKey: string = $state('');
  /** A key was sent and refused. */
  keyRefused: boolean = $state(false);

  readonly model: ModelCard | null = $derived(
    this.models.find((card) => card.id === this.chosen) ?? this.models[0] ?? null,
  );

  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly session: Storage | null) {
    this.apiKey = session?.getItem(KEY) ?? '';
    // A page that was away for long may come back to another model, or to no server.
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) void this.connect();
    });
  }

  /** Asks for the models; while the server cannot answer, asks again until it can. */
  async connect(): Promise<void> {
    clearTimeout(this.timer);
    try {
      this.models = await listModels(this.apiKey);
      this.state = 'ready';
      this.keyRefused = false;
    } catch (error) {
      this.noteFailure(error instanceof ChatFailure ? error.kind : 'server');
    }
  }

  /** Takes over what a failed request showed about the server, and watches it until it is back. */
  noteFailure(kind: FailureKind): void {
    clearTimeout(this.timer);
    if (kind === 'unauthorized') {
      this.keyRefused = this.apiKey !== '';
      this.state = 'unauthorized';
      return;
    }
    if (kind === 'context' || kind === 'busy') return;
    // Perhaps the server was started again with another model.
    if (kind === 'rejected') return void this.connect();
    if (kind === 'unreachable' || kind === 'starting') this.state = kind;
    else this.state = this.models.length > 0 ? this.state : 'unreachable';
    this.timer = setTimeout(() => void this.connect(), RETRY_MS);
  }

  /** Uses `key` from now on, for as long as the tab is open; an empty one forgets it. */
  async useKey(key: string): Promise<void> {
    this.apiKey = key.trim();
    if (this.apiKey) this.session?.setItem(KEY, this.apiKey);
    else this.session?.removeItem(KEY);
    await this.connect();
  }
}
