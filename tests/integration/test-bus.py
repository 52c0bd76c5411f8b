#!/usr/bin/python3
"""test-bus.py INFERD INTERFACES [TEST...]: the D-Bus interfaces on a private bus, with the daemon that needs no model.
INTERFACES is the folder with the introspection XML that is held against the live objects."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from minibus import Bus, BusError, Lost, Variant  # noqa: E402

NAME, PATH = 'org.inferd.Inference1', '/org/inferd/Inference1'
MANAGER, SESSION = NAME + '.Manager', NAME + '.Session'
PROPERTIES, DBUS = 'org.freedesktop.DBus.Properties', 'org.freedesktop.DBus'
INFERD, INTERFACES = sys.argv[1], sys.argv[2]
BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>"""


def s(text):
    return Variant('s', text)


def u(number):
    return Variant('u', number)


class World:
    """A bus, a folder of models and a daemon, all private."""

    def __init__(self, config='', models=('alpha',)):
        self.dir = tempfile.mkdtemp(prefix='inferd-bus-')
        self.bus_path = os.path.join(self.dir, 'bus')
        os.mkdir(os.path.join(self.dir, 'models'))
        for name in models:
            self.install(name, 'FAKE context=4096')
        self.write('bus.conf', BUS_CONFIG.format(self.bus_path))
        self.configure(config)
        self.bus = self.daemon = None
        self.connections = []
        self.start_bus()
        self.start_daemon()

    def write(self, name, text):
        with open(os.path.join(self.dir, name), 'w', encoding='utf-8') as f:
            f.write(text)

    def install(self, name, text):
        self.write(os.path.join('models', name + '.gguf'), text)

    def configure(self, text):
        self.write('inferd.conf', f'[Model]\nDirectories={self.dir}/models\nEmbeddedModel=\nModel=alpha\n' + text)

    def start_bus(self):
        if os.path.exists(self.bus_path):
            os.unlink(self.bus_path)
        self.bus = subprocess.Popen(['dbus-daemon', '--nofork', f'--config-file={self.dir}/bus.conf'],
                                    stderr=subprocess.DEVNULL)
        wait_for(lambda: os.path.exists(self.bus_path))

    def environment(self):
        return dict(os.environ, DBUS_SESSION_BUS_ADDRESS='unix:path=' + self.bus_path)

    def start_daemon(self):
        self.log = open(os.path.join(self.dir, 'log'), 'ab')
        self.daemon = subprocess.Popen([INFERD, '--user', f'--config={self.dir}/inferd.conf', '--socket='],
                                       env=self.environment(), stderr=self.log)
        self.wait_ready()

    def wait_ready(self):
        def ready():
            c = self.connect()
            try:
                return get(c, 'Availability') == 'ready'
            except BusError:
                return False
        wait_for(ready)

    def connect(self):
        for _ in range(100):
            try:
                c = Bus(self.bus_path)
                self.connections.append(c)
                return c
            except OSError:
                time.sleep(0.05)
        raise AssertionError('no bus')

    def n_fds(self):
        return len(os.listdir(f'/proc/{self.daemon.pid}/fd'))

    def end(self):
        for c in self.connections:
            c.close()
        code = None
        if self.daemon.poll() is None:
            self.daemon.terminate()
            try:
                code = self.daemon.wait(60)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
        self.bus.kill()
        self.bus.wait()
        self.log.close()
        with open(os.path.join(self.dir, 'log'), encoding='utf-8', errors='replace') as f:
            log = f.read()
        shutil.rmtree(self.dir)
        if code not in (0, None):
            raise AssertionError(f'the daemon ended with {code}:\n{log}')
        return log


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, 'waited in vain'
        time.sleep(0.02)


def get(c, name, path=PATH, interface=MANAGER):
    return c.call(NAME, path, PROPERTIES, 'Get', 'ss', interface, name)[0]


def manager(c, member, signature='', *args):
    return c.call(NAME, PATH, MANAGER, member, signature, *args)


def generate(c, prompt, **options):
    text, result = manager(c, 'Generate', 'sa{sv}', prompt, {k.replace('_', '-'): v for k, v in options.items()})
    return text, result


def create(c, **options):
    return manager(c, 'CreateSession', 'a{sv}', options)[0]


def session(c, path, member, signature='', *args):
    return c.call(NAME, path, SESSION, member, signature, *args)


def fails(error, function, *args, **options):
    try:
        function(*args, **options)
    except BusError as e:
        wanted = error if '.' in error else f'{NAME}.Error.{error}'
        assert e.name == wanted, f'{e.name} instead of {wanted}: {e.text}'
        assert len(e.text) > 10 and e.text[-1] in '.\')', f'no sentence: {e.text}'
        return e.text
    raise AssertionError(f'no {error}')


def turn(c, path, turn_id):
    """Waits for a turn's end: its deltas as (kind, text), its result."""
    deltas = []
    while True:
        m = c.wait(lambda m: m.kind == 4 and m.path == path and m.body[0] == turn_id)
        assert m.destination == c.name, 'a broadcast'
        if m.member == 'Finished':
            return deltas, m.body[1]
        deltas.append((m.body[1], m.body[2]))


def lines(fd):
    with os.fdopen(fd, encoding='utf-8') as f:
        return [json.loads(line) for line in f]


def text_of(deltas, kind='text'):
    return ''.join(t for k, t in deltas if k == kind)


# ------------------------------------------------------------------------------------------------ the tests

def test_introspection(w):
    """The documented XML is what the live objects say of themselves."""
    def describe(interface):
        members = set()
        for m in interface:
            args = tuple((a.get('name'), a.get('type'), a.get('direction') or ('in' if m.tag == 'method' else None))
                         for a in m.findall('arg'))
            notes = {a.get('name'): a.get('value') for a in m.findall('annotation')}
            changed = notes.get('org.freedesktop.DBus.Property.EmitsChangedSignal', 'true')
            members.add((m.tag, m.get('name'), m.get('type'), m.get('access'), args, changed))
        return members
    c = w.connect()
    for path, name in ((PATH, MANAGER), (create(c), SESSION)):
        xml, = c.call(NAME, path, 'org.freedesktop.DBus.Introspectable', 'Introspect')
        live = {i.get('name'): i for i in ElementTree.fromstring(xml).findall('interface')}
        documented = ElementTree.parse(f'{INTERFACES}/{name}.xml').getroot().find('interface')
        assert documented.get('name') == name
        difference = describe(live[name]) ^ describe(documented)
        assert not difference, difference


def test_generate(w):
    c = w.connect()
    text, result = generate(c, 'grüß dich', temperature=Variant('d', 0.5), max_tokens=Variant('i', 100))
    assert text == 'echo: grüß dich'
    assert result['finish-reason'] == 'stop' and result['model'] == 'alpha' and result['reasoning'] == ''
    assert result['usage']['completion-tokens'] == len(text) and 'decode-usec' in result['timings']
    text, result = generate(c, '/think hm')
    assert result['reasoning'] == 'hm' and result['usage']['reasoning-tokens'] == 2
    text, result = generate(c, '/long 50', max_tokens=u(7))
    assert text == 'x' * 7 and result['finish-reason'] == 'length'
    fails('PoolExhausted', generate, c, '/fail')
    assert 'more than' in fails('ContextOverflow', generate, c, 'x' * 5000)
    fails('InvalidArgument', generate, c, '')


def test_bad_options(w):
    c = w.connect()
    for key, value, error in (
            ('foo', s('bar'), 'InvalidArgument'), ('temperature', s('0.5'), 'InvalidArgument'),
            ('temperature', Variant('d', -1.0), 'InvalidArgument'), ('temperature', Variant('d', float('nan')), 'InvalidArgument'),
            ('max-tokens', Variant('d', 1.5), 'InvalidArgument'), ('max-tokens', Variant('i', -1), 'InvalidArgument'),
            ('stop', Variant('a(ss)', [('a', 'b')]), 'InvalidArgument'), ('stop', Variant('as', []), 'InvalidArgument'),
            ('system', Variant('v', s('x')), 'InvalidArgument'), ('timeout', s('soon'), 'InvalidArgument'),
            ('schema', s('{}'), 'NotSupported'), ('tools', Variant('aa{sv}', []), 'InvalidArgument'),
            ('tools', s('{}'), 'InvalidArgument'), ('template', s('{"a":'), 'InvalidArgument')):
        assert key in fails(error, manager, c, 'Generate', 'sa{sv}', 'x', {key: value})
        fails(error, manager, c, 'CreateSession', 'a{sv}', {key: value})
        fails(error, manager, c, 'Prewarm', 'a{sv}', {key: value})
        fails(error, manager, c, 'CountTokens', 'sa{sv}', 'x', {key: value})
    # not even the right signature
    fails(DBUS + '.Error.InvalidArgs', manager, c, 'Generate', 's', 'x')
    assert get(c, 'Sessions') == 0
    assert generate(c, 'still here')[0] == 'echo: still here'


def test_session(w):
    c = w.connect()
    path = create(c, system=s('Be kind.'))
    first, = session(c, path, 'Respond', 'sa{sv}', '/think hm', {})
    deltas, result = turn(c, path, first)
    assert text_of(deltas, 'reasoning') == 'hm' and text_of(deltas) == 'echo: /think hm'
    assert result['finish-reason'] == 'stop'
    # what was reasoned is not part of the conversation
    assert get(c, 'Messages', path, SESSION) == [('user', '/think hm'), ('assistant', 'echo: /think hm')]
    assert get(c, 'ContextSize', path, SESSION) == 4096
    used = get(c, 'ContextUsed', path, SESSION)
    assert used == result['usage']['prompt-tokens'] + result['usage']['completion-tokens']
    # the second turn finds the first one in the pool
    second, = session(c, path, 'Respond', 'sa{sv}', 'and €?', {})
    assert second == first + 1
    deltas, result = turn(c, path, second)
    assert text_of(deltas) == 'echo: and €?' and result['usage']['cached-tokens'] > 0
    session(c, path, 'Append', 'a(ss)', [('user', 'a'), ('assistant', 'b'), ('user', 'c')])
    assert 'emperor' in fails('InvalidArgument', session, c, path, 'Append', 'a(ss)', [('user', 'd'), ('emperor', 'e')])
    assert len(get(c, 'Messages', path, SESSION)) == 7
    third, = session(c, path, 'Respond', 'sa{sv}', '', {})
    assert text_of(turn(c, path, third)[0]) == 'echo: c'
    session(c, path, 'Close')
    fails(DBUS + '.Error.UnknownObject', session, c, path, 'Close')
    assert get(c, 'Sessions') == 0


def test_turns_that_fail_or_are_cancelled(w):
    c = w.connect()
    path = create(c)
    n, = session(c, path, 'Respond', 'sa{sv}', '/fail', {})
    _, result = turn(c, path, n)
    assert result['finish-reason'] == 'error' and result['error'] == NAME + '.Error.PoolExhausted'
    assert result['error-message'] and get(c, 'Messages', path, SESSION) == []
    # cancelled before anything was said
    n, = session(c, path, 'Respond', 'sa{sv}', '/hang', {})
    fails('Busy', session, c, path, 'Respond', 'sa{sv}', 'more', {})
    fails('Busy', session, c, path, 'RespondStream', 'sa{sv}', 'more', {})
    fails('Busy', session, c, path, 'Append', 'a(ss)', [])
    session(c, path, 'Cancel', 't', n + 7)
    session(c, path, 'Cancel', 't', n)
    _, result = turn(c, path, n)
    assert result['finish-reason'] == 'cancelled' and get(c, 'Messages', path, SESSION) == []
    # and after: what was said stays
    n, = session(c, path, 'Respond', 'sa{sv}', '/slow 2 /long 4000', {})
    c.wait(lambda m: m.member == 'Delta')
    session(c, path, 'Cancel', 't', n)
    turn(c, path, n)
    messages = get(c, 'Messages', path, SESSION)
    assert len(messages) == 2 and messages[1][1].startswith('x')
    n, = session(c, path, 'Respond', 'sa{sv}', '/hang', {'timeout': Variant('d', 0.05)})
    assert turn(c, path, n)[1]['error'] == NAME + '.Error.Timeout'
    # a session that is closed during a turn
    session(c, path, 'Respond', 'sa{sv}', '/hang', {})
    session(c, path, 'Close')
    wait_for(lambda: get(c, 'PagesUsed') == 0)


def test_fork(w):
    c = w.connect()
    path = create(c)
    turn(c, path, session(c, path, 'Respond', 'sa{sv}', 'one', {})[0])
    n, = session(c, path, 'Respond', 'sa{sv}', '/hang', {})
    other, = session(c, path, 'Fork')
    assert other != path
    # the running turn is not part of it
    assert get(c, 'Messages', other, SESSION) == [('user', 'one'), ('assistant', 'echo: one')]
    m, = session(c, other, 'Respond', 'sa{sv}', 'two', {})
    assert text_of(turn(c, other, m)[0]) == 'echo: two'
    session(c, path, 'Cancel', 't', n)
    turn(c, path, n)
    assert len(get(c, 'Messages', other, SESSION)) == 4 and len(get(c, 'Messages', path, SESSION)) == 2


def test_sessions_are_private(w):
    owner, other = w.connect(), w.connect()
    path = create(owner)
    missing = path + '000'
    owner.send(NAME, path, SESSION, 'Respond', 'sa{sv}', '/slow 5 /long 30', {})
    for call in ((SESSION, 'Respond', 'sa{sv}', 'x', {}), (SESSION, 'Close'), (SESSION, 'Fork'), (SESSION, 'Cancel', 't', 1),
                 (PROPERTIES, 'Get', 'ss', SESSION, 'Messages'), (PROPERTIES, 'GetAll', 's', SESSION),
                 ('org.freedesktop.DBus.Introspectable', 'Introspect')):
        # the same answer, to the letter, as for one that does not exist
        foreign = fails(DBUS + '.Error.UnknownObject', other.call, NAME, path, *call)
        absent = fails(DBUS + '.Error.UnknownObject', other.call, NAME, missing, *call)
        assert foreign.replace(path, '') == absent.replace(missing, ''), (foreign, absent)
    xml, = other.call(NAME, PATH + '/session', 'org.freedesktop.DBus.Introspectable', 'Introspect')
    assert 'name="1"' not in xml
    xml, = owner.call(NAME, PATH + '/session', 'org.freedesktop.DBus.Introspectable', 'Introspect')
    assert f'name="{path.split("/")[-1]}"' in xml
    other.match("type='signal',interface='" + SESSION + "'")
    turn(owner, path, 1)
    try:
        other.wait(lambda m: m.interface == SESSION, timeout=0.2)
        raise AssertionError('overheard')
    except TimeoutError:
        pass


def test_limits(w):
    c, other = w.connect(), w.connect()
    for _ in range(5):
        create(c)
    refused = 0
    for _ in range(100):  # the bus lets a connection wait for some hundred replies
        for serial in [c.send(NAME, PATH, MANAGER, 'CreateSession', 'a{sv}', {}) for _ in range(100)]:
            try:
                c.reply(serial)
            except BusError as e:
                assert e.name == NAME + '.Error.LimitsExceeded', e
                refused += 1
    assert refused == 10000 - 3, refused
    # the limit is the user's, not the connection's
    fails('LimitsExceeded', create, other)
    assert get(other, 'Sessions') == 8
    c.close()
    wait_for(lambda: get(other, 'Sessions') == 0)
    path = [create(other) for _ in range(8)][0]
    fails('LimitsExceeded', session, other, path, 'Fork')
    # as many requests as allowed, then no more
    calls = [other.send(NAME, PATH, MANAGER, 'Generate', 'sa{sv}', '/hang', {}) for _ in range(4)]
    fails('LimitsExceeded', generate, other, 'one more')
    assert calls


test_limits.config = '[Service]\nMaxSessionsPerUser=8\nMaxRequestsPerUser=4\n'


def test_client_killed_in_mid_turn(w):
    watcher = w.connect()
    fds = w.n_fds()
    for _ in range(3):
        c = w.connect()
        path = create(c)
        session(c, path, 'Respond', 'sa{sv}', '/slow 1 /long 100000', {})
        c.send(NAME, PATH, MANAGER, 'Generate', 'sa{sv}', '/hang', {})
        other = create(c)
        _, fd = session(c, other, 'RespondStream', 'sa{sv}', '/slow 1 /long 100000', {})
        c.wait(lambda m: m.member == 'Delta')
        wait_for(lambda: get(watcher, 'PagesUsed') > 0)
        c.close()
        os.close(fd)
    wait_for(lambda: get(watcher, 'PagesUsed') == 0 and get(watcher, 'Sessions') == 0)
    wait_for(lambda: w.n_fds() <= fds)


def test_tools(w):
    c = w.connect()
    tools = s('[{"type":"function","function":{"name":"f"}}]')
    text, result = generate(c, '/call f 2 so', tools=tools)
    assert text == 'echo: so' and result['finish-reason'] == 'tool-calls'
    calls = json.loads(result['tool-calls'])
    assert [(k['name'], k['arguments']) for k in calls] == [('f', {'x': 1.1})] * 2 and calls[0]['id'] != calls[1]['id']
    text, result = generate(c, '/call f 2')
    assert 'tool-calls' not in result and result['finish-reason'] == 'stop'
    text, _ = generate(c, '/prompt', tools=tools, template=s('{"enable_thinking": false}'))
    assert '"name":"f"' in text and '{"enable_thinking": false}' in text
    assert 'refuses' in fails('InvalidArgument', generate, c, 'x', template=s('{"refuse": 1}'))
    # a session remembers what was called
    path = create(c, tools=tools)
    n, = session(c, path, 'Respond', 'sa{sv}', '/call f 1', {})
    deltas, result = turn(c, path, n)
    assert json.loads(text_of(deltas, 'tool-call'))['name'] == 'f' and result['finish-reason'] == 'tool-calls'
    session(c, path, 'Append', 'a(ss)', [('tool', '42')])
    n, = session(c, path, 'Respond', 'sa{sv}', '/prompt', {})
    assert '"function":{"name":"f","arguments":"{\\"x\\": 1.10}"}' in text_of(turn(c, path, n)[0])
    n, fd = session(c, path, 'RespondStream', 'sa{sv}', '/call f 2', {})
    events = lines(fd)
    assert [json.loads(e['text'])['name'] for e in events[:-1] if e['kind'] == 'tool-call'] == ['f', 'f']
    assert len(events[-1]['tool-calls']) == 2 and events[-1]['finish-reason'] == 'tool-calls'


def test_stream(w):
    c = w.connect()
    path = create(c)
    n, fd = session(c, path, 'RespondStream', 'sa{sv}', '/think "ä"\n', {})
    events = lines(fd)
    assert all(e['type'] == 'delta' for e in events[:-1]) and events[-1]['type'] == 'finished'
    assert text_of([(e['kind'], e['text']) for e in events[:-1]]) == 'echo: /think "ä"\n'
    assert events[-1]['id'] == n and events[-1]['finish-reason'] == 'stop' and events[-1]['model'] == 'alpha'
    assert not [m for m in c.messages if m.kind == 4 and m.interface == SESSION], 'signals too'
    n, fd = session(c, path, 'RespondStream', 'sa{sv}', '/fail', {})
    assert lines(fd)[-1]['error']['name'] == NAME + '.Error.PoolExhausted'
    # everything arrives, in order, also when it is more than pipe and outbox hold
    n, fd = session(c, path, 'RespondStream', 'sa{sv}', '/long 400000', {})
    time.sleep(0.3)
    assert sum(len(e.get('text', '')) for e in lines(fd)) == 400000
    # Cancel, in a session of its own: the long answer does not fit into the context of another turn
    path = create(c)
    n, fd = session(c, path, 'RespondStream', 'sa{sv}', '/hang', {})
    session(c, path, 'Cancel', 't', n)
    assert lines(fd)[-1]['finish-reason'] == 'cancelled'


def test_stream_that_is_never_read(w):
    c, other = w.connect(), w.connect()
    path = create(c)
    fds = w.n_fds()
    _, fd = session(c, path, 'RespondStream', 'sa{sv}', '/long 2000000', {})
    # the others are served, and memory does not grow with the answer
    for _ in range(5):
        assert generate(other, 'hello')[0] == 'echo: hello'
    used = -1
    while used != (now := get(other, 'PagesUsed')):
        used = now  # pipe and outbox fill, and the engine stops there
        time.sleep(0.3)
    assert used > 0, 'it went on to the end although nobody reads'
    # closing the pipe cancels
    os.close(fd)
    wait_for(lambda: get(other, 'PagesUsed') == 0)
    # one that has been answered in full, unread, keeps nobody waiting
    _, fd = session(c, create(c), 'RespondStream', 'sa{sv}', 'short', {})
    wait_for(lambda: w.n_fds() <= fds)
    assert lines(fd)[-1]['finish-reason'] == 'stop'


def test_reader_of_signals_that_sleeps(w):
    """A connection that reads nothing gets its signals later; others are served meanwhile."""
    c, other = w.connect(), w.connect()
    path = create(c)
    n, = session(c, path, 'Respond', 'sa{sv}', '/long 300000', {})
    for _ in range(5):
        assert generate(other, 'hello')[0] == 'echo: hello'
    deltas, result = turn(c, path, n)
    assert len(text_of(deltas)) == 300000 and result['finish-reason'] == 'stop'


def test_many_clients(w):
    clients = [w.connect() for _ in range(20)]
    calls = [(c, c.send(NAME, PATH, MANAGER, 'Generate', 'sa{sv}', f'/slow 1 client {i}', {})) for i, c in enumerate(clients)]
    sessions = [(c, create(c)) for c in clients]
    turns = [(c, path, session(c, path, 'Respond', 'sa{sv}', f'/slow 1 session {path}', {})[0]) for c, path in sessions]
    for i, (c, serial) in enumerate(calls):
        assert c.reply(serial)[0] == f'echo: client {i}'
    for c, path, n in turns:
        assert text_of(turn(c, path, n)[0]) == f'echo: session {path}'


def test_models(w):
    w.install('beta', 'FAKE load_ms=100')
    w.install('broken', 'junk')
    c = w.connect()
    models = dict(manager(c, 'ListModels')[0])
    assert list(models) == ['alpha', 'beta', 'broken']
    assert models['alpha']['loaded'] and models['alpha']['context-size'] == 4096 and 'error' not in models['alpha']
    assert 'not a model file' in models['broken']['error']
    fails('NoSuchModel', manager, c, 'LoadModel', 's', 'nope')
    fails('InvalidArgument', manager, c, 'LoadModel', 's', '../models/beta')
    fails('ModelFailed', manager, c, 'LoadModel', 's', 'broken')
    assert get(c, 'Availability') == 'ready' and get(c, 'Model')['name'] == 'alpha'
    c.match(f"type='signal',interface='{PROPERTIES}',path='{PATH}'")
    manager(c, 'LoadModel', 's', 'beta')
    seen = {}
    while seen.get('Model', {}).get('name') != 'beta' or seen.get('Availability', 'ready') != 'ready':
        seen.update(c.wait(lambda m: m.member == 'PropertiesChanged').body[1])
    assert generate(c, 'x')[1]['model'] == 'beta'
    manager(c, 'UnloadModel')
    assert get(c, 'Availability') == 'disabled' and 'name' not in get(c, 'Model')
    fails('NoModel', generate, c, 'x')
    fails('NoModel', manager, c, 'CountTokens', 'sa{sv}', 'x', {})
    manager(c, 'LoadModel', 's', 'alpha')
    assert manager(c, 'CountTokens', 'sa{sv}', 'grüß', {})[0] == 6
    # a loader that leaves takes nothing along
    other = w.connect()
    other.send(NAME, PATH, MANAGER, 'LoadModel', 's', 'beta')
    time.sleep(0.05)
    other.close()
    wait_for(lambda: get(c, 'Availability') == 'ready' and get(c, 'Model')['name'] == 'beta')


def test_prewarm(w):
    c = w.connect()
    manager(c, 'Prewarm', 'a{sv}', {})
    manager(c, 'Prewarm', 'a{sv}', {'system': s('You are a very helpful assistant.')})
    manager(c, 'Prewarm', 'a{sv}', {'system': s('You are kind.'), 'messages': Variant('a(ss)', [('user', 'hello there')])})
    _, result = generate(c, 'hello there', system=s('You are kind.'))
    assert result['usage']['cached-tokens'] > 0
    fails('InvalidArgument', manager, c, 'Prewarm', 'a{sv}', {'messages': s('hello')})


def test_properties_are_announced(w):
    c = w.connect()
    c.match(f"type='signal',interface='{PROPERTIES}',path='{PATH}'")
    path = create(c)
    changed = {}
    while changed.get('Sessions') != 1:
        changed.update(c.wait(lambda m: m.member == 'PropertiesChanged').body[1])
    began, seen = time.monotonic(), []
    n, = session(c, path, 'Respond', 'sa{sv}', '/slow 1 /long 1500', {})
    turn(c, path, n)
    while not any(used > 0 for used in seen) or seen[-1] != 0:
        seen.append(c.wait(lambda m: m.member == 'PropertiesChanged').body[1].get('PagesUsed', -1))
    # twice a second at most, not for every one of fifteen hundred tokens
    assert len(seen) <= (time.monotonic() - began) * 2 + 2, seen
    assert get(c, 'Version') and get(c, 'Pages') > 0 and get(c, 'Queue') == 0


def test_bus_restarts(w):
    c = w.connect()
    path = create(c)
    session(c, path, 'Respond', 'sa{sv}', '/hang', {})
    c.send(NAME, PATH, MANAGER, 'Generate', 'sa{sv}', '/hang', {})
    w.bus.kill()
    w.bus.wait()
    try:
        c.wait(lambda m: False)
    except Lost:
        pass
    time.sleep(0.2)
    assert w.daemon.poll() is None, 'the daemon died with the bus'
    w.start_bus()
    w.wait_ready()
    c = w.connect()
    assert get(c, 'Sessions') == 0
    wait_for(lambda: get(c, 'PagesUsed') == 0)
    assert generate(c, 'hello')[0] == 'echo: hello'
    assert create(c) != path


def test_second_daemon(w):
    second = subprocess.run([INFERD, '--user', f'--config={w.dir}/inferd.conf', '--socket='], env=w.environment(),
                            stderr=subprocess.PIPE, timeout=60, check=False)
    assert second.returncode == 69 and b'already' in second.stderr, second
    assert generate(w.connect(), 'x')[0] == 'echo: x'


def test_reload(w):
    c = w.connect()
    w.configure('[Defaults]\nmax-tokens=3\n')
    w.daemon.send_signal(signal.SIGHUP)
    wait_for(lambda: generate(c, '/long 9')[0] == 'xxx')
    w.configure('[Defaults]\nmax-tokens=three\n')
    w.daemon.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    assert generate(c, '/long 9')[0] == 'xxx'


def test_stop_while_requests_run(w):
    c = w.connect()
    path, other = create(c), create(c)
    n, = session(c, path, 'Respond', 'sa{sv}', '/hang', {})
    m, fd = session(c, other, 'RespondStream', 'sa{sv}', '/hang', {})
    call = c.send(NAME, PATH, MANAGER, 'Generate', 'sa{sv}', '/hang', {})
    short = c.send(NAME, PATH, MANAGER, 'Generate', 'sa{sv}', '/slow 20 short', {})
    wait_for(lambda: get(c, 'PagesUsed') > 0)
    w.daemon.terminate()
    # what can end in time does, the rest is told; nobody hangs, and new work is refused
    def refused():
        try:
            generate(c, 'new')
            return False
        except BusError as e:
            assert e.name == NAME + '.Error.Stopping', e
            return True
    wait_for(refused)
    assert c.reply(short)[0] == 'echo: short'
    assert turn(c, path, n)[1]['error'] == NAME + '.Error.Stopping'
    assert lines(fd)[-1]['error']['name'] == NAME + '.Error.Stopping'
    fails('Stopping', c.reply, call)
    assert w.daemon.wait(60) == 0


test_stop_while_requests_run.config = '[Service]\nDrainTimeout=3s\n'


def stop_as_calls_arrive(w):
    """Which of both the daemon notices first is not certain, but more often the signal."""
    known, unknown = w.connect(), w.connect()
    path = create(known)
    w.daemon.send_signal(signal.SIGSTOP)
    calls = [(c, c.send(NAME, PATH, MANAGER, 'Generate', 'sa{sv}', 'late', {})) for c in (known, unknown)]
    calls.append((known, known.send(NAME, path, SESSION, 'Respond', 'sa{sv}', 'late', {})))
    for c in (known, unknown):
        c.call(DBUS, '/org/freedesktop/DBus', DBUS, 'GetId')  # so the bus has passed on what came before
    w.daemon.terminate()
    w.daemon.send_signal(signal.SIGCONT)
    for c, call in calls:
        try:
            c.reply(call)
        except BusError as e:
            assert e.name == NAME + '.Error.Stopping', e
    assert w.daemon.wait(60) == 0


def test_calls_in_the_last_instant(w):
    stop_as_calls_arrive(w)
    for _ in range(9):
        w.start_daemon()
        stop_as_calls_arrive(w)


def test_stop_while_a_model_loads(w):
    w.install('beta', 'FAKE load_ms=1500')
    c = w.connect()
    call = c.send(NAME, PATH, MANAGER, 'LoadModel', 's', 'beta')
    wait_for(lambda: get(c, 'Availability') == 'loading')
    w.daemon.terminate()
    fails('Stopping', c.reply, call)
    assert w.daemon.wait(60) == 0


def test_call_in_the_instant_of_the_idle_exit(w):
    c = w.connect()
    session(c, create(c), 'Close')
    w.daemon.send_signal(signal.SIGSTOP)
    time.sleep(2.1)  # so its time is over when it goes on
    c = w.connect()
    call = c.send(NAME, PATH, MANAGER, 'Generate', 'sa{sv}', 'late', {})
    wrong = c.send(NAME, PATH, MANAGER, 'Generate', 'sa{sv}', '', {})
    c.call(DBUS, '/org/freedesktop/DBus', DBUS, 'GetId')
    w.daemon.send_signal(signal.SIGCONT)
    assert c.reply(call)[0] == 'echo: late'
    fails('InvalidArgument', c.reply, wrong)
    assert generate(c, 'later')[0] == 'echo: later', 'the name is not there any more'
    assert w.daemon.wait(60) == 0


test_call_in_the_instant_of_the_idle_exit.config = '[Service]\nIdleExit=2s\n'


def test_idle_exit(w):
    c = w.connect()
    path = create(c)
    time.sleep(0.8)
    assert w.daemon.poll() is None, 'it left a session alone'
    session(c, path, 'Close')
    assert w.daemon.wait(60) == 0


test_idle_exit.config = '[Service]\nIdleExit=300ms\n'


def test_log_has_no_prompts(w):
    c = w.connect()
    generate(c, 'Mumpitz', system=s('Quatsch'))
    fails('PoolExhausted', generate, c, '/fail Mumpitz')
    fails('ContextOverflow', generate, c, 'Mumpitz' * 1000)
    log = w.end()
    assert 'request' in log and 'Mumpitz' not in log and 'Quatsch' not in log, log


test_log_has_no_prompts.config = '[Service]\nLogLevel=debug\n'
test_log_has_no_prompts.ended = True


def main():
    wanted = sys.argv[3:]
    tests = [(n, f) for n, f in globals().items() if n.startswith('test_') and (not wanted or n in wanted)]
    failed = 0
    if not shutil.which('dbus-daemon'):
        print('test-bus: needs dbus-daemon')
        return 77
    for name, function in tests:
        world = World(getattr(function, 'config', ''))
        try:
            function(world)
            if not getattr(function, 'ended', False):
                world.end()
            print('ok:', name, flush=True)
        except Exception:  # pylint: disable=broad-except
            import traceback
            failed += 1
            print('FAILED:', name, flush=True)
            traceback.print_exc()
            try:
                print(world.end())
            except Exception as e:  # pylint: disable=broad-except
                print(e)
    return 1 if failed else 0


sys.exit(main())
