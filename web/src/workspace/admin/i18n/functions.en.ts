/** English sentences about functions: which models they meet, their packages, and how they come and go. */

export const en = {
  'models.filters': 'Filters for this model',
  'models.filters.default': 'Filters that are on in new chats',
  'models.actions': 'Actions under its answers',
  'models.capabilities': 'Capabilities',
  'models.capabilities.own': 'As its server says',
  'models.capabilities.vision': 'It sees pictures',
  'models.capabilities.tools': 'It calls tools',
  'models.capabilities.reasoning': 'It thinks before it answers',
  'functions.off': 'off',
  'functions.output': 'What pip says',
  'functions.import': 'Import',
  'functions.imported': { one: '{count} function came in, switched off.', other: '{count} functions came in, switched off.' },
  'functions.import.left': 'Not taken: {name}. {reason}',
  'functions.export': 'Export all',
  'functions.import.wrong': 'This file is neither a function (.py) nor an export of functions (.json).',
} satisfies Record<string, string | { one: string; other: string }>;
