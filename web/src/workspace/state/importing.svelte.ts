/** The import of one file, from its upload to what came of it. */

import { ApiError } from '../api/request';
import type { ImportJob } from '../api/importing';

const ASK_EVERY_MS = 500;

export interface ImportCalls {
  startImport: (file: File, onprogress: (part: number) => void, signal: AbortSignal) => Promise<ImportJob>;
  getImport: (id: string) => Promise<ImportJob>;
  listImports: () => Promise<ImportJob[]>;
}

export class Importing {
  phase: 'idle' | 'uploading' | 'working' | 'done' | 'failed' = $state('idle');
  /** The file's name; empty for an import that was found running. */
  name: string = $state('');
  /** The part of the file that has arrived, from 0 to 1. */
  uploaded: number = $state(0);
  job: ImportJob | null = $state.raw(null);
  /** What went wrong: of a call, or null where `job.error` says it. */
  error: unknown = $state.raw(null);
  private control = new AbortController();

  /** wait: between two questions how far it is. ondone: chats have come in. */
  constructor(
    private readonly calls: ImportCalls,
    private readonly ondone: () => void,
    private readonly wait: (signal: AbortSignal) => Promise<void> = pause,
  ) {}

  /** Takes up an import that runs already, of this page before it was reloaded perhaps. */
  async resume(): Promise<void> {
    const running = (await this.calls.listImports()).find((job) => !ended(job));
    if (running && this.phase === 'idle') await this.run(async () => running);
  }

  async start(file: File): Promise<void> {
    this.name = file.name;
    this.uploaded = 0;
    this.phase = 'uploading';
    const { signal } = this.control;
    await this.run(() => this.calls.startImport(file, (part) => (this.uploaded = part), signal));
  }

  reset(): void {
    this.phase = 'idle';
    this.job = null;
    this.error = null;
  }

  /** Watches no more; an upload is given up, what the server has begun goes on. */
  leave(): void {
    this.control.abort();
  }

  private async run(begin: () => Promise<ImportJob>): Promise<void> {
    const { signal } = this.control;
    this.job = null;
    this.error = null;
    try {
      let job = await begin();
      this.phase = 'working';
      for (this.job = job; !ended(job); this.job = job) {
        await this.wait(signal);
        if (signal.aborted) return;
        job = await this.ask(job);
      }
      this.phase = job.state === 'done' ? 'done' : 'failed';
      if (job.state === 'done') this.ondone();
    } catch (error) {
      if (signal.aborted) return;
      this.error = error;
      this.phase = 'failed';
    }
  }

  /** A server that does not answer for a moment has not lost the import. */
  private async ask(job: ImportJob): Promise<ImportJob> {
    try {
      return await this.calls.getImport(job.id);
    } catch (error) {
      if (error instanceof ApiError && (error.status === 0 || error.status >= 502)) return job;
      throw error;
    }
  }
}

const ended = (job: ImportJob): boolean => job.state === 'done' || job.state === 'failed';

function pause(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ASK_EVERY_MS);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
