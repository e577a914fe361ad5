/** What is fetched when the first formula is shown: KaTeX with its style sheet and fonts, all from this server. */

import 'katex/dist/katex.min.css';

export { render } from 'katex';
