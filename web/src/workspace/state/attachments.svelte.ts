/** The files of the message that is being written. */

import { deleteFile, getFile, uploadFile, type UploadedFile } from '../api/asking';
import { ApiError } from '../api/request';
import type { AskedPart, Model } from '../api/types';
import type { KeptFile } from './drafts';

export interface Attachment {
  /** Of this page alone; the server's id is in `file`. */
  key: number;
  name: string;
  size: number;
  /** The share that has been sent, to 1; then the server reads the text. */
  progress: number;
  file: UploadedFile | null;
  /** Why the server does not take it. */
  fault: unknown;
  control: AbortController;
}

export const isPicture = (file: { media_type: string } | null): boolean => file?.media_type.startsWith('image/') ?? false;

export class Attachments {
  all: Attachment[] = $state.raw([]);
  private made = 0;
  private countedFor: string | undefined;

  readonly uploading: boolean = $derived(this.all.some((each) => each.file === null && each.fault === null));
  readonly ready: Attachment[] = $derived(this.all.filter((each) => each.file !== null));
  /** Of all texts, by the model that counted last; null while one of them is not known. */
  readonly tokens: number | null = $derived.by(() => {
    const texts = this.ready.flatMap(({ file }) => (file && !isPicture(file) ? [file.tokens] : []));
    return texts.some((count) => count === null) ? null : texts.reduce((sum: number, count) => sum + (count ?? 0), 0);
  });

  constructor(private readonly told: { onchange: () => void; onfault: (error: unknown) => void }) {}

  /** Uploads. limit: how many a question may have; beyond it files are refused. Gives how many were. */
  add(files: readonly File[], model: string | undefined, limit: number): number {
    const room = Math.max(0, limit - this.all.length);
    for (const file of files.slice(0, room)) void this.upload(file, model);
    return Math.max(0, files.length - room);
  }

  /** Takes one away, wherever it is on its way; the server forgets it. */
  remove(attachment: Attachment): void {
    attachment.control.abort();
    this.all = this.all.filter((each) => each.key !== attachment.key);
    this.told.onchange();
    // It may have gone by itself, or lie in a message too: both are fine.
    if (attachment.file) deleteFile(attachment.file.id).catch((error: unknown) => this.report(error));
  }

  /** Counts anew what another model has counted. */
  async recount(model: string | undefined): Promise<void> {
    if (model === this.countedFor) return;
    this.countedFor = model;
    await Promise.all(
      this.all.map(async ({ key, file }) => {
        if (!file || isPicture(file)) return;
        try {
          const { tokens } = await getFile(file.id, model);
          if (this.countedFor === model) this.change(key, { file: { ...file, tokens } });
        } catch (error) {
          if (error instanceof ApiError && error.status === 404) this.drop(key);
          else this.told.onfault(error);
        }
      }),
    );
  }

  /** What is attached as parts of a question. */
  get parts(): AskedPart[] {
    return this.ready.flatMap(({ file }): AskedPart[] =>
      !file ? [] : isPicture(file)
        ? [{ type: 'image', file_id: file.id, name: file.name }]
        : [{ type: 'file', file_id: file.id, name: file.name, tokens: file.tokens }],
    );
  }

  /** Shows others: those of another draft. Uploads go on for nobody and end. */
  restore(files: readonly KeptFile[], model: string | undefined): void {
    for (const each of this.all) if (each.file === null) each.control.abort();
    this.all = files.map((file) => this.entry(file.name, file.size, { ...file, tokens: null }));
    this.countedFor = undefined;
    if (this.all.length > 0) void this.recount(model);
  }

  private async upload(file: File, model: string | undefined): Promise<void> {
    const { key, control } = this.put(this.entry(file.name, file.size, null));
    this.countedFor ??= model;
    try {
      const { signal } = control;
      const uploaded = await uploadFile(file, { model, signal, onprogress: (progress) => this.change(key, { progress }) });
      this.change(key, { file: uploaded, name: uploaded.name, size: uploaded.size });
      // The reader chose another model meanwhile.
      if (model !== this.countedFor) this.change(key, { file: await getFile(uploaded.id, this.countedFor) });
    } catch (error) {
      if (control.signal.aborted) return;
      if (error instanceof ApiError && error.status !== 401) this.change(key, { fault: error });
      else {
        this.drop(key);
        this.told.onfault(error);
      }
    }
  }

  private entry(name: string, size: number, file: UploadedFile | null): Attachment {
    return { key: ++this.made, name, size, progress: 0, file, fault: null, control: new AbortController() };
  }

  private put(attachment: Attachment): Attachment {
    this.all = [...this.all, attachment];
    return attachment;
  }

  private change(key: number, values: Partial<Attachment>): void {
    if (!this.all.some((each) => each.key === key)) return;
    this.all = this.all.map((each) => (each.key === key ? { ...each, ...values } : each));
    if ('file' in values) this.told.onchange();
  }

  private drop(key: number): void {
    this.all = this.all.filter((each) => each.key !== key);
    this.told.onchange();
  }

  private report(error: unknown): void {
    if (error instanceof ApiError && error.status === 404) return;
    this.told.onfault(error);
  }
}

/** What a draft keeps of them. */
export const kept = (attachments: readonly Attachment[]): KeptFile[] =>
  attachments.flatMap(({ file }) => (file ? [{ id: file.id, name: file.name, media_type: file.media_type, size: file.size }] : []));

/** The names of those of the models that do not see pictures. */
export const blind = (models: readonly (Model | null)[]): string[] =>
  models.flatMap((model) => (model && !model.capabilities.includes('vision') ? [model.name || model.id] : []));
