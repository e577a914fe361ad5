/** Follows a download through broken connections until it has ended. */

import { readEvents } from '../../../lib/api/sse';
import { ApiError, open } from '../../api/request';
import type { Pull } from '../types';

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8000;

/** Ends with the download, when the server knows it no more, or by the signal. Throws ApiError for a refusal. */
export async function followPull(id: string, onstate: (pull: Pull) => void, signal: AbortSignal): Promise<void> {
  let wait = FIRST_WAIT_MS;
  while (!signal.aborted) {
    try {
      const response = await open('GET', `api/admin/hub/pulls/${encodeURIComponent(id)}/events`, { signal, headers: { accept: 'text/event-stream' } });
      if (!response.body) throw new ApiError(0, '');
      for await (const { data } of readEvents(response.body)) {
        const pull = JSON.parse(data) as Pull;
        wait = FIRST_WAIT_MS;
        onstate(pull);
        if (pull.state !== 'running') return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError) {
        if (error.status === 404) return;
        if (error.status >= 400 && error.status < 500) throw error;
      } else if (!(error instanceof TypeError)) throw error; // a TypeError is how a body that broke off reads
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
    wait = Math.min(2 * wait, LONGEST_WAIT_MS);
  }
}
