/** English sentences about what stands in an answer. */

export const en = {
  'diagram.show': 'Show the diagram',
  'diagram.source': 'Show the source',
  'diagram.label': 'Diagram',
  'diagram.alt': 'Diagram, drawn from: {source}',
  'diagram.problem': 'This diagram cannot be drawn.',
} satisfies Record<string, string | { one: string; other: string }>;
