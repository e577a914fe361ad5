/** Formulas in an answer, typeset where their sources stand. */

import type { KatexOptions } from 'katex';
import { sanitizeFormula } from './sanitize';
import { texOf } from './math';

type Render = (tex: string, element: HTMLElement, options: KatexOptions) => void;

/** Formulas of the answer that is being written are shown again with each piece of it. */
const MOST_KEPT = 300;
const PLACES = '.math:not(.typeset, .faulty)';

const OPTIONS = {
  throwOnError: true,
  // No links, pictures or classes of the answer's own choice; lengths and macros have an end.
  trust: false,
  strict: 'ignore',
  maxSize: 40,
  maxExpand: 1000,
} satisfies KatexOptions;

export class Typesetter {
  private library: Promise<{ render: Render }> | null = null;
  private render: Render | null = null;
  private readonly kept = new Map<string, HTMLElement | string>();

  /** True where something below `element` waits for a library that is not here yet. */
  typeset(element: ParentNode): boolean {
    const places = element.querySelectorAll<HTMLElement>(PLACES);
    if (this.render) for (const place of places) this.set(place, this.render);
    return this.render === null && places.length > 0;
  }

  /** Fetches the library; a failure may be tried again. */
  async load(): Promise<void> {
    this.library ??= import('./katex');
    try {
      this.render = (await this.library).render;
    } catch (error) {
      this.library = null;
      throw error;
    }
  }

  private set(place: HTMLElement, render: Render): void {
    const source = place.textContent;
    const display = place.classList.contains('display');
    const key = `${display}${source}`;
    const made = this.kept.get(key) ?? make(render, source, display);
    this.kept.delete(key);
    this.kept.set(key, made);
    if (this.kept.size > MOST_KEPT) this.kept.delete(this.kept.keys().next().value ?? '');
    if (typeof made === 'string') {
      place.classList.add('faulty');
      place.title = made;
      return;
    }
    place.classList.add('typeset');
    place.replaceChildren(made.cloneNode(true));
  }
}

/** The formula, or why it is none. KaTeX sets styles through the object model, which the page's policy allows. */
function make(render: Render, source: string, display: boolean): HTMLElement | string {
  const root = document.createElement('span');
  try {
    render(texOf(source), root, { ...OPTIONS, displayMode: display });
  } catch (error) {
    if (error instanceof Error && error.name === 'ParseError') return error.message.replace(/^KaTeX parse error: /, '');
    throw error;
  }
  sanitizeFormula(root);
  return root;
}

/**
 * What is selected, with formulas as their sources: what the reader sees of a formula is dozens of boxes. Null where no
 * formula is in it.
 */
export function copied(selection: Selection): string | null {
  if (selection.rangeCount === 0 || selection.isCollapsed) return null;
  const range = selection.getRangeAt(0).cloneRange();
  const around = (node: Node): Element | null => (node instanceof Element ? node : node.parentElement)?.closest('.math.typeset') ?? null;
  const [first, last] = [around(range.startContainer), around(range.endContainer)];
  if (first) range.setStartBefore(first);
  if (last) range.setEndAfter(last);
  const contents = range.cloneContents();
  const formulas = contents.querySelectorAll('.math.typeset');
  if (formulas.length === 0) return null;
  for (const formula of formulas) {
    const tex = formula.querySelector('annotation')?.textContent ?? '';
    formula.replaceWith(formula.classList.contains('display') ? `$$${tex}$$` : `$${tex}$`);
  }
  return contents.textContent;
}
