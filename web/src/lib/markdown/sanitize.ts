/** The last gate before HTML text enters the page: a list of what may pass, and nothing else. */

import DOMPurify from 'dompurify';

const TAGS =
  'a blockquote br code del div em h1 h2 h3 h4 h5 h6 hr li ol p pre span strong table tbody td th thead tr ul'.split(' ');
/** Attributes that hold no address. */
const PLAIN = ['align', 'class', 'rel', 'start', 'tabindex', 'target', 'title'];

/** For what `render` made of an answer. */
export function sanitize(html: string): string {
  return DOMPurify.sanitize(html, {
    ALLOWED_TAGS: TAGS,
    ALLOWED_ATTR: [...PLAIN, 'href'],
    ADD_URI_SAFE_ATTR: PLAIN,
    ALLOW_DATA_ATTR: false,
    ALLOWED_URI_REGEXP: /^(https?:|mailto:)/i,
  });
}

/** For what the highlighter made of code: spans with classes. */
export function sanitizeCode(html: string): string {
  return DOMPurify.sanitize(html, { ALLOWED_TAGS: ['span'], ALLOWED_ATTR: ['class'], ALLOW_DATA_ATTR: false });
}

const MATHML =
  'math semantics annotation menclose mfrac mi mn mo mover mpadded mphantom mroot mrow mspace msqrt mstyle msub msubsup msup mtable mtd mtext mtr munder munderover'.split(
    ' ',
  );
const MATHML_ATTRIBUTES =
  'accent accentunder columnalign columnlines columnspacing depth display displaystyle encoding fence height linebreak linethickness lspace mathbackground mathcolor mathsize mathvariant maxsize minsize movablelimits notation rowlines rowspacing rspace scriptlevel separator stretchy symmetric voffset width'.split(
    ' ',
  );
const DRAWN = 'aria-hidden class d preserveAspectRatio style viewBox x1 x2 y1 y2 stroke-width xmlns'.split(' ');
/** Lengths, colours and places within a formula; nothing that names an address or leaves the formula. */
const STYLE =
  /^(?:(?:background-color|border(?:-[a-z]+)*|bottom|color|height|left|margin(?:-[a-z]+)?|max-width|min-width|padding(?:-[a-z]+)?|position|text-shadow|top|vertical-align|width)\s*:\s*(?!.*(?:fixed|sticky))[-\w.%#\s,()]*;?\s*)+$/i;

/** For what KaTeX built of an answer's formula: it takes out of the tree whatever a formula does not need. */
export function sanitizeFormula(tree: HTMLElement): void {
  const purify = DOMPurify(window);
  purify.addHook('uponSanitizeAttribute', (_node, attribute) => {
    if (attribute.attrName !== 'style') return;
    if (/url|expression|var\s*\(/i.test(attribute.attrValue) || !STYLE.test(attribute.attrValue)) attribute.keepAttr = false;
  });
  const attributes = [...MATHML_ATTRIBUTES, ...DRAWN];
  purify.sanitize(tree, {
    ALLOWED_TAGS: ['span', 'svg', 'path', 'line', '#text', ...MATHML],
    ALLOWED_ATTR: attributes,
    ADD_URI_SAFE_ATTR: attributes,
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    IN_PLACE: true,
  });
}
