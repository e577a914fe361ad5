/** The prompts library, read when it is first needed and kept in step with what is done to it here. */

import { changePrompt, createPrompt, deletePrompt, listPrompts, type Prompt, type PromptValues } from '../api/asking';

export class Prompts {
  all: Prompt[] = $state.raw([]);
  loaded: boolean = $state(false);

  /** Reads the list anew: others may have shared some meanwhile. */
  async load(): Promise<void> {
    this.all = await listPrompts();
    this.loaded = true;
  }

  /** Makes one, or changes the one with this id. */
  async save(id: string | null, values: PromptValues): Promise<void> {
    await (id === null ? createPrompt(values) : changePrompt(id, values));
    await this.load();
  }

  async delete(id: string): Promise<void> {
    await deletePrompt(id);
    this.all = this.all.filter((each) => each.id !== id);
  }
}
