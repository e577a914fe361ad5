/** English sentences of presets and of readers' own connections. */

export const en = {
  'own.connections.text': 'Other OpenAI-compatible servers, for you alone. The server calls them with your key, which is kept encrypted.',
  presets: 'Presets',
  'presets.text': 'A preset is a model with a system prompt, parameters and a name of its own. It appears in the list of models.',
  'presets.none': 'There is no preset yet.',
  'presets.create': 'New preset',
  'presets.base': 'Model',
  'presets.name': 'Such as “Proofreader”',
  'presets.system.hint': 'Comes before the system prompt of a chat.',
  'presets.delete': 'Delete {name}',
  'presets.delete.title': 'Delete the preset {name}?',
  'presets.delete.text': 'It disappears from the list of models. Chats with it stay.',
};
