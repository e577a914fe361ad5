// @vitest-environment jsdom
import { describe, expect, it } from 'vitest';
import { renderWhole } from '../src/lib/markdown/render';
import { sanitize } from '../src/lib/markdown/sanitize';

function show(markdown: string): HTMLElement {
  const element = document.createElement('div');
  element.innerHTML = sanitize(renderWhole(markdown));
  return element;
}

describe('what an answer may put on the page', () => {
  it.each([
    '<script>alert(1)</script>',
    '<img src=x onerror=alert(1)>',
    '<iframe src="https://example.org"></iframe>',
    'text <b onclick="alert(1)">bold</b>',
    '<style>body{display:none}</style>',
  ])('shows HTML as text: %s', (html) => {
    const element = show(html);
    expect(element.textContent).toContain(html);
    expect(element.querySelector('script, img, iframe, b, style')).toBeNull();
  });

  it('turns a picture into a link, so that nothing is loaded from elsewhere', () => {
    const element = show('![a tower](https://example.org/tower.png?secret=1)');
    expect(element.querySelector('img')).toBeNull();
    expect(element.querySelector('a')?.textContent).toBe('a tower');
  });

  it.each(['javascript:alert(1)', 'data:text/html,x', 'vbscript:x', 'file:///etc/passwd', 'JaVaScRiPt:alert(1)'])(
    'makes no link to %s',
    (address) => {
      const element = show(`[click](<${address}>)`);
      expect(element.querySelector('a')).toBeNull();
      expect(element.textContent).toContain('click');
    },
  );

  it('opens links elsewhere, without telling where from', () => {
    const link = show('[page](https://example.org)').querySelector('a');
    expect(link?.target).toBe('_blank');
    expect(link?.rel).toContain('noreferrer');
  });

  it('escapes code', () => {
    const element = show('```html\n<b>&amp;</b>\n```');
    expect(element.querySelector('code')?.textContent).toBe('<b>&amp;</b>');
  });

  it('lets no style or data attribute through', () => {
    expect(sanitize('<p style="color:red" data-x="1" id="app">x</p>')).toBe('<p>x</p>');
  });

  it('breaks lines in table cells', () => {
    expect(show('| a |\n|---|\n| x<br>y |').querySelector('td br')).not.toBeNull();
  });
});
