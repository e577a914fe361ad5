/** Models and parameters of the open chat, or of the new one that is about to begin. */

import type { Params } from '../api/types';
import type { Models } from './models.svelte';
import type { Session } from './session.svelte';
import type { Talk } from './talk.svelte';

const SAVE_AFTER_MS = 500;

export class Choices {
  private newModels: string[] = $state.raw([]);
  private newParams: Params = $state.raw({});
  private saving: ReturnType<typeof setTimeout> | undefined;

  readonly models: string[] = $derived.by(() => this.usable());
  readonly params: Params = $derived.by(() => {
    // What was set before an administrator took the permission away would be refused.
    if (!this.session.may('chat.params')) return {};
    return this.talk.chat?.params ?? this.newParams;
  });
  readonly changed: boolean = $derived(Object.keys(this.params).length > 0);

  constructor(
    private readonly talk: Talk,
    private readonly all: Models,
    private readonly session: Session,
    private readonly onfault: (error: unknown) => void,
  ) {}

  chooseModels(ids: string[]): void {
    this.all.remember(ids);
    if (this.talk.chat) this.talk.change({ models: ids }).catch(this.onfault);
    else this.newModels = ids;
  }

  /** Takes values; undefined and empty ones give the choice back to the model. Kept on the server a moment later. */
  setParams(values: { [Name in keyof Params]?: Params[Name] | undefined }): void {
    const merged = Object.entries({ ...this.params, ...values });
    const params = Object.fromEntries(merged.filter(([, value]) => value !== undefined && value !== '' && !isEmptyList(value))) as Params;
    const { chat } = this.talk;
    if (!chat) {
      this.newParams = params;
      return;
    }
    this.talk.chat = { ...chat, params };
    clearTimeout(this.saving);
    this.saving = setTimeout(() => {
      if (this.talk.chat?.id === chat.id) this.talk.change({ params }).catch(this.onfault);
    }, SAVE_AFTER_MS);
  }

  /** All choices go back to the models. */
  resetParams(): void {
    this.setParams(Object.fromEntries(Object.keys(this.params).map((name) => [name, undefined])));
  }

  private usable(): string[] {
    return this.all.usable(this.talk.chat?.models ?? this.newModels, this.session.config?.default_models ?? []);
  }

  /** The next new chat begins with the models' own defaults. */
  forget(): void {
    this.newParams = {};
    this.newModels = [];
  }
}

const isEmptyList = (value: unknown): boolean => Array.isArray(value) && value.length === 0;
