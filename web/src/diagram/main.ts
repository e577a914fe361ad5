/**
 * Draws Mermaid diagrams in a frame of its own.
 *
 * Mermaid writes style elements and style attributes, which the page's policy forbids. This document alone allows them:
 * it is sandboxed without an origin, has no cookies, reaches nothing but the scripts beside it, and gives back a picture
 * that the page shows as an image, in which nothing runs.
 */

import { READY, type Drawn, type Order } from './messages';
import { palette } from './palette';

async function draw({ id, source, dark }: Order): Promise<Drawn> {
  const { default: mermaid } = await import('mermaid');
  mermaid.initialize({
    startOnLoad: false,
    securityLevel: 'strict',
    suppressErrorRendering: true,
    htmlLabels: false,
    flowchart: { htmlLabels: false, useMaxWidth: false },
    class: { htmlLabels: false },
    theme: 'base',
    ...palette(dark),
  });
  try {
    const { svg } = await mermaid.render(`diagram-${id}`, source);
    return picture(id, svg);
  } catch (error) {
    return { id, error: error instanceof Error ? error.message : String(error) };
  } finally {
    document.body.replaceChildren();
  }
}

/** The drawing as a document of its own, as large as it wants to be. */
function picture(id: number, html: string): Drawn {
  const svg = new DOMParser().parseFromString(html, 'text/html').querySelector('svg');
  if (!svg) return { id, error: 'Mermaid drew nothing.' };
  const box = svg.viewBox.baseVal;
  const [width, height] = [Math.ceil(box.width), Math.ceil(box.height)];
  svg.setAttribute('width', String(width));
  svg.setAttribute('height', String(height));
  svg.style.removeProperty('max-width');
  return { id, svg: new XMLSerializer().serializeToString(svg), width, height };
}

let before: Promise<unknown> = Promise.resolve();
addEventListener('message', ({ data, source }: MessageEvent<Order>) => {
  if (source !== parent) return;
  // One after the other: Mermaid keeps one configuration for all.
  before = before.then(() => draw(data)).then((drawn) => parent.postMessage(drawn, '*'));
});
parent.postMessage(READY, '*');
