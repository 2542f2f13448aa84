"""Holds answers of the live API against conf/live-openapi.json.

    api = OpenAPI()
    wrong = api.check('/v1/shop/hits', response)        # [] or complaints
"""

import json
import os
import re

import jsonschema

import beacon_test as t


class OpenAPI:
    def __init__(self, path=None):
        path = path or os.path.join(t.TOP, 'conf', 'live-openapi.json')
        with open(path, encoding='utf-8') as file:
            self.document = json.load(file)
        self.paths = []
        for path, item in self.document['paths'].items():
            pattern = re.sub(r'\{\w+\}', '[^/]+', path)
            self.paths.append((re.compile(pattern + r'$'), item['get']))
        # the first that matches is the one with fewest names
        self.paths.sort(key=lambda path: path[0].pattern.count('[^/]+'))
        self.seen = set()               # (operation, status)

    def whole(self, node):
        """node with what it refers to put in."""
        if isinstance(node, list):
            return [self.whole(item) for item in node]
        if not isinstance(node, dict):
            return node
        if '$ref' in node:
            target = self.document
            for key in node['$ref'].lstrip('#/').split('/'):
                target = target[key]
            return self.whole(target)
        return {key: self.whole(value) for key, value in node.items()}

    def schema(self, name):
        return self.whole(self.document['components']['schemas'][name])

    def against(self, schema, value):
        """Complaints; schema: a name of components/schemas, or itself."""
        if isinstance(schema, str):
            schema = self.schema(schema)
        validator = jsonschema.Draft202012Validator(schema)
        return ['%s: %s' % (list(error.absolute_path), error.message)
                for error in validator.iter_errors(value)]

    def expected(self, path, response):
        """What the document says of this answer; None: nothing."""
        if response.status == 405:
            return self.whole(self.document['components']['responses']
                              ['MethodNotAllowed'])
        for pattern, operation in self.paths:
            if pattern.match(path):
                break
        else:
            if response.status != 404:
                return None
            return self.whole(self.document['components']['responses']
                              ['NotFound'])
        self.seen.add((operation['operationId'], response.status))
        expected = operation['responses'].get(str(response.status))
        return self.whole(expected) if expected else None

    def check(self, target, response, head=False):
        """target: what follows the server's URL, query and all."""
        expected = self.expected(target.split('?')[0], response)
        if expected is None:
            return ['nothing is said of %d at %s' % (response.status, target)]
        wrong = []
        for name, header in expected.get('headers', {}).items():
            value = response.header(name)
            if value is None:
                wrong.append('no ' + name)
            else:
                wrong += self.against(header['schema'], value)
        kind = response.header('content-type')
        if kind not in expected['content']:
            return wrong + ['type %s is not foreseen' % kind]
        if head or kind == 'text/event-stream':
            return wrong
        try:
            value = json.loads(response.body)
        except ValueError as error:
            return wrong + ['%s: %r' % (error, response.body[:200])]
        return wrong + self.against(expected['content'][kind]['schema'],
                                    value)
