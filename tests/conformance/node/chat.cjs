// Two people chat through the unmodified official client: REST (Client4) and its WebSocketClient.
// Usage: node chat.cjs http://HOST:PORT. Prints one line per step; exits 1 at the first that fails.
const assert = require('node:assert/strict');
const WebSocket = require('ws');
const {Client4, WebSocketClient} = require('@mattermost/client');

const url = process.argv[2];
const suffix = Math.random().toString(36).slice(2, 10);
const quiet = console.log;
globalThis.WebSocket = WebSocket; // the client expects a browser's global; Node 20 has none
console.log = () => {};
const step = (name) => quiet(`ok ${name}`);
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

class Person {
    constructor(name) {
        this.name = `${name}-${suffix}`;
        this.rest = new Client4();
        this.rest.setUrl(url);
        this.events = [];
        this.missed = 0;
        this.reconnects = 0;
    }

    async signUp() {
        const account = {email: `${this.name}@example.com`, username: this.name, password: 'Passw0rd-for-tests'};
        this.id = (await this.rest.createUser(account, '', '')).id;
        this.me = await this.rest.login(this.name, account.password);
        assert.equal(this.me.id, this.id);
        assert.equal(this.me.password, undefined);
    }

    // cookie: the way of a browser, which can resume; otherwise by challenge, the way of bots.
    connect(cookie) {
        const headers = cookie ? {Cookie: `MMAUTHTOKEN=${this.rest.getToken()}`} : {};
        this.socket = new WebSocketClient({
            minWebSocketRetryTime: 200,
            reconnectJitterRange: 50,
            newWebSocketFn: (address) => new WebSocket(address, {headers}),
        });
        this.socket.addMessageListener((event) => this.events.push(event));
        this.socket.addMissedMessageListener(() => this.missed++);
        this.socket.addReconnectListener(() => this.reconnects++);
        this.socket.initialize(`${url.replace('http', 'ws')}/api/v4/websocket`, cookie ? undefined : this.rest.getToken());
        return this.next('hello');
    }

    async next(name, test = () => true) {
        for (let tries = 0; tries < 500; tries++) {
            const found = this.events.findIndex((event) => event.event === name && test(event));
            if (found >= 0) {
                return this.events.splice(found, 1)[0];
            }
            await wait(20);
        }
        throw new Error(`${this.name} waited for ${name}; has ${JSON.stringify(this.events).slice(0, 2000)}`);
    }

    async nextPost(message) {
        return JSON.parse((await this.next('posted', (event) => JSON.parse(event.data.post).message === message)).data.post);
    }

    ask(method, ...rest) {
        return new Promise((resolve) => this.socket[method](...rest, resolve));
    }
}

async function main() {
    const [ada, bob] = [new Person('ada'), new Person('bob')];
    await ada.signUp();
    await bob.signUp();
    const config = await ada.rest.getClientConfig();
    assert.equal(config.EnableSignInWithEmail, 'true');
    assert.ok(ada.rest.serverVersion);
    step('sign-up, login, config');

    const hello = await ada.connect(true);
    assert.equal(hello.seq, 0);
    assert.equal(hello.data.server_version, ada.rest.serverVersion);
    await bob.connect(false);
    assert.equal((await ada.ask('ping')).data.text, 'pong');
    step('hello by cookie and by challenge, ping');

    const team = await ada.rest.createTeam({name: `team-${suffix}`, display_name: 'Team', type: 'O'});
    await ada.rest.addToTeam(team.id, bob.id);
    await bob.next('added_to_team', (event) => event.data.team_id === team.id);
    const channel = await ada.rest.createChannel({team_id: team.id, name: `room-${suffix}`, display_name: 'Room', type: 'O'});
    await ada.rest.addToChannel(bob.id, channel.id);
    await bob.next('user_added', (event) => event.broadcast.channel_id === channel.id && event.data.user_id === bob.id);
    const mine = await bob.rest.getMyChannels(team.id);
    assert.deepEqual(mine.map((row) => row.name).sort(), ['off-topic', `room-${suffix}`, 'town-square'].sort());
    step('team, channel, members');

    const root = await ada.rest.createPost({channel_id: channel.id, message: 'hello bob', pending_post_id: `${ada.id}:1`});
    const seen = await bob.nextPost('hello bob');
    assert.equal(seen.id, root.id);
    assert.equal((await ada.nextPost('hello bob')).pending_post_id, `${ada.id}:1`);
    const reply = await bob.rest.createPost({channel_id: channel.id, message: 'hello ada', root_id: root.id});
    assert.equal((await ada.nextPost('hello ada')).root_id, root.id);
    const thread = await ada.rest.getPostThread(root.id);
    assert.deepEqual(Object.keys(thread.posts).sort(), [root.id, reply.id].sort());
    step('post, reply, thread');

    await ada.rest.patchPost({id: root.id, message: 'hello bob, edited'});
    const edited = JSON.parse((await bob.next('post_edited')).data.post);
    assert.equal(edited.message, 'hello bob, edited');
    assert.ok(edited.edit_at > 0);
    step('edit');

    const own = await ada.rest.createChannel({team_id: team.id, name: `own-${suffix}`, display_name: 'Own', type: 'P'});
    const message = `~${own.name} ~town-square`;
    const naming = await ada.rest.createPost({channel_id: channel.id, message});
    assert.deepEqual(Object.keys(naming.props.channel_mentions).sort(), [own.name, 'town-square'].sort());
    assert.deepEqual((await ada.nextPost(message)).props, naming.props);
    const {props} = await bob.nextPost(message);
    assert.deepEqual(props, {channel_mentions: {'town-square': {display_name: 'Town Square', team_name: team.name}}});
    assert.deepEqual((await bob.rest.getPost(naming.id)).props, props);
    step('names of channels, to each reader those that he can read');

    await bob.rest.addReaction(bob.id, root.id, 'thumbsup');
    assert.equal(JSON.parse((await ada.next('reaction_added')).data.reaction).emoji_name, 'thumbsup');
    assert.equal((await ada.rest.getReactionsForPost(root.id)).length, 1);
    await bob.rest.removeReaction(bob.id, root.id, 'thumbsup');
    await ada.next('reaction_removed');
    step('reaction');

    assert.equal((await bob.ask('userTyping', channel.id, '')).status, 'OK');
    const typing = await ada.next('typing');
    assert.equal(typing.data.user_id, bob.id);
    assert.ok(!bob.events.some((event) => event.event === 'typing'));
    assert.equal((await ada.ask('getStatusesByIds', [bob.id])).data[bob.id], 'online');
    step('typing, status');

    const direct = await ada.rest.createDirectChannel([ada.id, bob.id]);
    assert.equal((await bob.next('direct_added')).broadcast.channel_id, direct.id);
    await ada.rest.createPost({channel_id: direct.id, message: 'just you'});
    assert.equal((await bob.nextPost('just you')).channel_id, direct.id);
    step('direct message');

    // The smallest PNG there is, as the web client sends it.
    const dot = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
    const form = new FormData();
    form.append('channel_id', channel.id);
    form.append('client_ids', 'one');
    form.append('files', new Blob([dot], {type: 'image/png'}), 'dot ü.png');
    const uploaded = await ada.rest.uploadFile(form);
    assert.deepEqual(uploaded.client_ids, ['one']);
    const [file] = uploaded.file_infos;
    assert.deepEqual([file.name, file.width, file.height, file.has_preview_image], ['dot ü.png', 1, 1, true]);
    const withFile = await ada.rest.createPost({channel_id: channel.id, message: 'look', file_ids: [file.id]});
    assert.deepEqual((await bob.nextPost('look')).metadata.files, withFile.metadata.files);
    assert.deepEqual(await bob.rest.getFileInfosForPost(withFile.id), withFile.metadata.files);
    const get = async (address) => {
        const answer = await fetch(address, bob.rest.getOptions({method: 'get'}));
        assert.equal(answer.status, 200);
        return answer;
    };
    assert.ok((await get(bob.rest.getFileThumbnailUrl(file.id))).headers.get('content-type').startsWith('image/'));
    assert.ok((await get(bob.rest.getFilePreviewUrl(file.id))).headers.get('content-type').startsWith('image/'));
    assert.deepEqual(Buffer.from(await (await get(bob.rest.getFileUrl(file.id))).arrayBuffer()), dot);
    step('file, thumbnail, preview');

    const before = ada.socket.connectionId;
    ada.socket.conn._socket.destroy(); // the cable is cut: no close frame
    for (let i = 0; i < 5; i++) {
        await bob.rest.createPost({channel_id: channel.id, message: `while away ${i}`});
    }
    for (let i = 0; i < 5; i++) {
        await ada.nextPost(`while away ${i}`);
    }
    assert.equal(ada.reconnects, 1);
    assert.equal(ada.missed, 0);
    assert.equal(ada.socket.connectionId, before);
    step('dropped socket resumes');

    await bob.rest.deletePost(reply.id);
    const deleted = await ada.next('post_deleted');
    assert.equal(JSON.parse(deleted.data.post).id, reply.id);
    const left = await bob.rest.getPosts(channel.id);
    assert.ok(!left.order.includes(reply.id));
    step('delete');

    await ada.rest.logout();
    await assert.rejects(ada.rest.getMe(), (error) => error.status_code === 401);
    ada.socket.close();
    bob.socket.close();
    step('logout');
}

main().then(() => process.exit(0), (error) => {
    quiet(error.stack);
    process.exit(1);
});
