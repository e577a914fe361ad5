// Shows openapi.json as a page: the routes in their groups, their fields, and a command to try each.

const EXAMPLES = {
  '/v1/chat/completions': { messages: [{ role: 'user', content: 'Hello!' }] },
  '/v1/completions': { prompt: 'Once upon a time', max_tokens: 32 },
};

/** An element with properties and children; texts are never read as markup. */
function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function resolve(schema, api) {
  const name = schema?.$ref?.split('/').pop();
  return name ? api.components.schemas[name] : schema;
}

/** The type of a field in words: "string or list of string". */
function typeOf(schema, api) {
  if (!schema) return 'any';
  if (schema.$ref) return schema.$ref.split('/').pop();
  if (schema.anyOf) {
    const kinds = schema.anyOf.map((kind) => typeOf(kind, api)).filter((kind) => kind !== 'null');
    return kinds.join(' or ');
  }
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.type === 'array') return `list of ${typeOf(schema.items, api)}`;
  return schema.type ?? 'any';
}

function fields(schema, api) {
  const rows = Object.entries(schema.properties ?? {}).map(([name, field]) => {
    const needed = schema.required?.includes(name) ? element('strong', {}, ' required') : '';
    return element(
      'tr',
      {},
      element('td', {}, element('code', {}, name), needed),
      element('td', { className: 'quiet' }, typeOf(field, api)),
      element('td', {}, field.description ?? ''),
    );
  });
  const heads = ['Field', 'Type', 'Meaning'].map((text) => element('th', { scope: 'col' }, text));
  const table = element('table', {}, element('thead', {}, element('tr', {}, ...heads)), element('tbody', {}, ...rows));
  return element('div', { className: 'scroll' }, table);
}

function command(method, path) {
  const address = new URL(`.${path}`, document.baseURI).href;
  if (method !== 'post') return `curl ${address}`;
  const body = JSON.stringify(EXAMPLES[path] ?? {});
  return `curl ${address} -H 'Content-Type: application/json' -d '${body}'`;
}

function operation(method, path, details, api) {
  const shown = element('div', {});
  if (details.description) shown.append(element('p', {}, details.description));
  shown.append(element('pre', {}, command(method, path)));
  const request = resolve(details.requestBody?.content?.['application/json']?.schema, api);
  if (request) shown.append(element('h3', {}, 'Request'), fields(request, api));
  const answer = resolve(details.responses?.['200']?.content?.['application/json']?.schema, api);
  if (answer?.properties) shown.append(element('h3', {}, 'Response'), fields(answer, api));
  const summary = element(
    'summary',
    {},
    element('span', { className: 'method' }, method.toUpperCase()),
    element('span', { className: 'path' }, path),
    element('span', { className: 'quiet' }, details.summary ?? ''),
  );
  return element('details', {}, summary, shown);
}

function page(api) {
  const groups = new Map();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, details] of Object.entries(methods)) {
      const group = details.tags?.[0] ?? 'other';
      groups.set(group, [...(groups.get(group) ?? []), operation(method, path, details, api)]);
    }
  }
  const parts = [...groups].flatMap(([name, routes]) => [element('h2', {}, name), ...routes]);
  return [
    element('h1', {}, `${api.info.title} API`),
    element('p', {}, api.info.description, ' ', element('span', { className: 'quiet' }, `Version ${api.info.version}.`)),
    element('p', {}, 'The whole contract: ', element('a', { href: 'openapi.json' }, 'openapi.json'), '.'),
    ...parts,
  ];
}

const main = document.getElementById('page');
try {
  const response = await fetch('openapi.json');
  if (!response.ok) throw new Error(`openapi.json: ${response.status}`);
  main.replaceChildren(...page(await response.json()));
} catch (error) {
  main.replaceChildren(element('p', {}, `The documentation cannot be shown: ${error.message}`));
}
