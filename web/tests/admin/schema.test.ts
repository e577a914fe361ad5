import { describe, expect, it } from 'vitest';
import { FieldError, fieldsOf, toState, toValue } from '../../src/workspace/ui/forms/schema';

const SCHEMA = {
  $defs: { Level: { enum: ['low', 'high'], title: 'Level', type: 'string' } },
  properties: {
    priority: { default: 0, title: 'Priority', type: 'integer', description: 'Order' },
    key: { default: '', title: 'Key', type: 'string', input: { type: 'password' } },
    mode: { default: 'a', title: 'Mode', type: 'string', input: { type: 'select', options: [{ value: 'a', label: 'First' }, 'b'] } },
    level: { $ref: '#/$defs/Level', default: 'low' },
    many: { default: ['x'], type: 'array', items: { type: 'string' }, input: { type: 'multiselect', options: ['x', 'y'] } },
    names: { default: [], type: 'array', items: { type: 'string' } },
    numbers: { type: 'array', items: { type: 'integer' } },
    size: { enum: [1, 2], type: 'integer' },
    on: { default: true, type: 'boolean' },
    limit: { anyOf: [{ type: 'number', minimum: 0 }, { type: 'null' }], default: null, title: 'Limit' },
    extra: { type: 'object', default: {} },
    must: { type: 'string' },
  },
  required: ['must'],
  type: 'object',
};
const fields = Object.fromEntries(fieldsOf(SCHEMA).map((field) => [field.name, field]));
const field = (name: string) => {
  const found = fields[name];
  if (!found) throw new Error(name);
  return found;
};

describe('fieldsOf', () => {
  it('knows the kind of each property', () => {
    expect(Object.entries(fields).map(([name, { kind }]) => [name, kind])).toEqual([
      ['priority', 'integer'], ['key', 'password'], ['mode', 'select'], ['level', 'select'], ['many', 'multiselect'],
      ['names', 'list'], ['numbers', 'list'], ['size', 'select'], ['on', 'switch'], ['limit', 'number'],
      ['extra', 'json'], ['must', 'text'],
    ]);
  });

  it('takes labels, options behind references, bounds and what is required', () => {
    expect(field('mode').options).toEqual([{ value: 'a', label: 'First' }, { value: 'b', label: 'b' }]);
    expect(field('level').options.map((option) => option.value)).toEqual(['low', 'high']);
    expect(field('level').fallback).toBe('low');
    expect(field('limit').minimum).toBe(0);
    expect(field('must').required).toBe(true);
    expect(field('priority').description).toBe('Order');
  });

  it('has no fields for what is no schema of an object', () => {
    for (const odd of [null, 3, [], {}, { properties: 3 }, { properties: { a: 1 } }]) expect(fieldsOf(odd)).toEqual([]);
  });

  it('ends on a reference to itself', () => {
    const circle = { $defs: { A: { $ref: '#/$defs/A' } }, properties: { a: { $ref: '#/$defs/A' } } };
    expect(fieldsOf(circle)[0]?.kind).toBe('json');
  });
});

describe('values', () => {
  it('come back as they went in', () => {
    const values = {
      priority: 3, key: 's', mode: 'b', level: 'high', many: ['y'], names: ['p', 'q'], numbers: [1, 2], size: 2, on: false,
      limit: 0.5, extra: { a: [1] }, must: 'm',
    };
    const back = Object.fromEntries(
      Object.entries(values).map(([name, value]) => [name, toValue(field(name), toState(field(name), value), SCHEMA)]),
    );
    expect(back).toEqual(values);
  });

  it('leave the default where nothing is written', () => {
    expect(toState(field('priority'), undefined)).toBe('');
    expect(toValue(field('priority'), '')).toBeUndefined();
    expect(toState(field('on'), undefined)).toBe(true);
    expect(toState(field('many'), undefined)).toEqual(['x']);
  });

  it('say what is wrong with what was written', () => {
    const reason = (name: string, state: string) => {
      try {
        toValue(field(name), state, SCHEMA);
      } catch (error) {
        return error instanceof FieldError ? error.reason : error;
      }
      return null;
    };
    expect(reason('priority', 'x')).toBe('number');
    expect(reason('priority', '1.5')).toBe('integer');
    expect(reason('extra', '{')).toBe('json');
    expect(reason('must', ' ')).toBe('required');
    expect(reason('numbers', '1, b')).toBe('number');
  });
});
