/** What every page of the administration does: fetch something, change it, and say what went wrong. */

import { ApiError } from '../api/request';
import { saidBy, sentenceOf } from '../state/faults';
import { useWorkspace } from '../state/workspace';

/** Calls, and the sentence about the last one that failed. */
export class Doing {
  fault: string | null = $state(null);
  /** A sentence about what has been done. */
  told: string | null = $state(null);
  busy: boolean = $state(false);

  constructor(
    private readonly sentence: (error: unknown) => string,
    private readonly ended: () => void,
  ) {}

  /** Does something; false where it failed, and `fault` says why. */
  async try(act: () => Promise<unknown>, told: string | null = null): Promise<boolean> {
    this.fault = null;
    this.told = null;
    this.busy = true;
    try {
      await act();
      this.told = told;
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) this.ended();
      this.fault = this.sentence(error);
      return false;
    } finally {
      this.busy = false;
    }
  }
}

/** A `Doing` of a component. To be called while the component is made. */
export function useDoing(): Doing {
  const { preferences, session } = useWorkspace();
  return new Doing(
    // The server's own sentence is more precise for an administrator than what the page says of a status.
    (error) => {
      const named = error instanceof ApiError ? saidBy(error, preferences.t) : null;
      const own = error instanceof ApiError && error.status >= 400 && error.status < 500 ? error.message : '';
      return named ?? (own || sentenceOf(error, preferences.t));
    },
    () => session.ended(),
  );
}
