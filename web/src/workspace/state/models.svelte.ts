/** The models to choose from, and those chosen for the next new chat. */

import * as api from '../api';
import type { Model } from '../api/types';

const KEY = 'pagoda.models';

export class Models {
  all: Model[] = $state.raw([]);
  loaded: boolean = $state(false);

  constructor(private readonly storage: Storage | null) {}

  async load(): Promise<void> {
    this.all = await api.listModels();
    this.loaded = true;
  }

  find(id: string): Model | null {
    return this.all.find((model) => model.id === id) ?? null;
  }

  /** What a model is called; its id where it is gone. */
  nameOf(id: string): string {
    return this.find(id)?.name || id;
  }

  /** Those of `wanted` that are here; else the house's, the last choice, or the first model there is. */
  usable(wanted: readonly string[], house: readonly string[]): string[] {
    for (const ids of [wanted, this.remembered(), house]) {
      const here = ids.filter((id) => this.find(id));
      if (here.length > 0) return here;
    }
    const first = this.all.find((model) => model.state === 'ready') ?? this.all[0];
    return first ? [first.id] : [];
  }

  remember(ids: readonly string[]): void {
    try {
      this.storage?.setItem(KEY, JSON.stringify(ids));
    } catch (error) {
      console.info('Pagoda: the choice of models is not kept.', error); // a full storage: the page works on
    }
  }

  private remembered(): string[] {
    try {
      const kept: unknown = JSON.parse(this.storage?.getItem(KEY) ?? '[]');
      return Array.isArray(kept) ? kept.filter((id) => typeof id === 'string') : [];
    } catch {
      return []; // written by something else
    }
  }
}
