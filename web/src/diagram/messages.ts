/** What a page and the frame that draws its diagrams say to each other. */

export interface Order {
  readonly id: number;
  readonly source: string;
  readonly dark: boolean;
}

/** error: why nothing could be drawn, in Mermaid's words. svg: XML text. Sizes in CSS pixels. */
export type Drawn =
  | { readonly id: number; readonly error: string }
  | { readonly id: number; readonly svg: string; readonly width: number; readonly height: number };

/** The frame says it once it listens. */
export const READY = 'pagoda: ready to draw';

/** A message of the frame, or null for anything else. */
export function drawnOf(data: unknown): Drawn | null {
  if (typeof data !== 'object' || data === null) return null;
  const { id, error, svg, width, height } = data as Record<string, unknown>;
  if (typeof id !== 'number') return null;
  if (typeof error === 'string') return { id, error };
  if (typeof svg !== 'string' || typeof width !== 'number' || typeof height !== 'number') return null;
  return { id, svg, width, height };
}
