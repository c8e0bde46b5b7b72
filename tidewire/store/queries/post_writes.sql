-- part: batch
q AS (
    INSERT INTO pending_posts AS x (user_id, pending_post_id, post_id, at)
    SELECT g.user_id, g.pending_post_id, g.post_id, g.at
    FROM unnest($1::batch_pending[]) g
    ON CONFLICT (user_id, pending_post_id) DO UPDATE SET post_id = excluded.post_id, at = excluded.at
    WHERE x.at < excluded.at - 30000
    RETURNING 1
), p AS (
    INSERT INTO posts (id, create_at, update_at, user_id, channel_id, root_id, message, type, props, hashtags, file_ids,
        priority)
    SELECT g.id, g.at, g.at, g.user_id, g.channel_id, g.root_id, g.message, g.type, g.props::jsonb, g.hashtags,
        string_to_array(g.file_ids, ','), g.priority
    FROM unnest($2::batch_marked_post[]) g
    RETURNING 1
), f AS (
    -- A file is attached by its uploader, in its channel, once.
    UPDATE files x SET post_id = g.post_id, update_at = g.at
    FROM unnest($11::batch_file[]) g
    WHERE x.id = g.id AND x.user_id = g.user_id AND x.channel_id = g.channel_id AND x.post_id = '' AND x.delete_at = 0
    RETURNING 1
), r AS (
    UPDATE posts x SET update_at = greatest(x.update_at, g.at)
    FROM unnest($3::batch_thread[]) g
    WHERE x.id = g.id AND x.channel_id = g.channel_id AND x.root_id = '' AND x.original_id = '' AND x.delete_at = 0
    RETURNING 1
), t AS (
    INSERT INTO threads AS x (root_id, channel_id, reply_count, last_reply_at, participants)
    SELECT g.id, g.channel_id, g.replies, g.at, string_to_array(g.participants, ',')
    FROM unnest($3::batch_thread[]) g
    ON CONFLICT (root_id) DO UPDATE SET
        reply_count = x.reply_count + excluded.reply_count,
        last_reply_at = greatest(x.last_reply_at, excluded.last_reply_at),
        participants = CASE WHEN excluded.participants <@ x.participants THEN x.participants
            ELSE x.participants || ARRAY(SELECT o.u FROM unnest(excluded.participants) WITH ORDINALITY o(u, i)
                WHERE o.u <> ALL (x.participants) ORDER BY o.i) END
    RETURNING 1
), tm AS (
    -- Who wrote or is named follows from now on; anybody else only where he has no row, that is: never chose. Who is no
    -- member of the channel follows nothing. Own replies mark the thread read, unless something has
    -- happened to it since they were created. A mention counts unless it was read, by its time, before it was committed.
    INSERT INTO thread_members AS x (root_id, user_id, channel_id, followed_at, last_update_at, last_viewed_at,
        unread_mentions)
    SELECT g.root_id, g.user_id, g.channel_id, g.at, g.at, g.viewed_at, g.mentions
    FROM unnest($4::batch_follower[]) g
    WHERE (SELECT true FROM channel_members y WHERE y.channel_id = g.channel_id AND y.user_id = g.user_id)
    ON CONFLICT (root_id, user_id) DO UPDATE SET
        following = true,
        followed_at = CASE WHEN x.following THEN x.followed_at ELSE excluded.followed_at END,
        last_viewed_at = greatest(x.last_viewed_at, excluded.last_viewed_at),
        unread_mentions = CASE WHEN excluded.last_viewed_at >= x.last_update_at THEN 0 ELSE x.unread_mentions END
            + CASE WHEN excluded.followed_at > x.last_viewed_at THEN excluded.unread_mentions ELSE 0 END,
        last_update_at = greatest(x.last_update_at, excluded.last_update_at)
    WHERE excluded.last_viewed_at > 0 OR excluded.unread_mentions > 0
    RETURNING 1
), m AS (
    -- seen: posts of this batch up to the author's last one; own: his own. Neither sum can pass the channel's total.
    -- An author has read what this statement saw. Who mentions him at another worker is waited for, and ch is older then:
    -- that mention stays, as its post stays unread.
    UPDATE channel_members x SET
        msg_count = CASE WHEN g.views THEN greatest(x.msg_count + g.own, ch.total_msg_count + g.seen)
            ELSE x.msg_count END,
        msg_count_root = CASE WHEN g.views THEN greatest(x.msg_count_root + g.own_root, ch.total_msg_count_root + g.seen_root)
            ELSE x.msg_count_root END,
        last_viewed_at = CASE WHEN g.views THEN greatest(x.last_viewed_at, ch.last_post_at, g.at) ELSE x.last_viewed_at END,
        mention_count = x.mention_count + g.mentions - CASE WHEN g.views AND x.mention_count > 0 THEN least(x.mention_count,
            (SELECT o.mention_count FROM channel_members o WHERE o.channel_id = g.channel_id AND o.user_id = g.user_id)) ELSE 0 END,
        mention_count_root = x.mention_count_root + g.mentions_root - CASE WHEN g.views AND x.mention_count_root > 0 THEN least(x.mention_count_root,
            (SELECT o.mention_count_root FROM channel_members o WHERE o.channel_id = g.channel_id AND o.user_id = g.user_id)) ELSE 0 END,
        urgent_mention_count = x.urgent_mention_count + g.urgent - CASE WHEN g.views AND x.urgent_mention_count > 0 THEN least(x.urgent_mention_count,
            (SELECT o.urgent_mention_count FROM channel_members o WHERE o.channel_id = g.channel_id AND o.user_id = g.user_id)) ELSE 0 END,
        last_update_at = greatest(x.last_update_at, g.at)
    FROM unnest($5::batch_member[]) g, channels ch
    WHERE ch.id = g.channel_id AND x.channel_id = g.channel_id AND x.user_id = g.user_id
    RETURNING 1
), u AS (
    UPDATE outbox SET published = true WHERE id = ANY($6::bigint[]) RETURNING 1
), c AS (
    UPDATE channels x SET
        event_n = x.event_n + g.events,
        total_msg_count = x.total_msg_count + g.counted,
        total_msg_count_root = x.total_msg_count_root + g.counted_root,
        last_post_at = greatest(x.last_post_at, g.at),
        last_root_post_at = greatest(x.last_root_post_at, g.root_at)
    FROM unnest($7::batch_channel[]) g
    WHERE x.id = g.id AND (x.delete_at = 0 OR NOT g.alive)
        AND (SELECT count(*) FROM q) + (SELECT count(*) FROM p) + (SELECT count(*) FROM f) + (SELECT count(*) FROM r)
            + (SELECT count(*) FROM t) + (SELECT count(*) FROM tm) + (SELECT count(*) FROM m) + (SELECT count(*) FROM u) >= 0
    RETURNING x.id, x.event_n
)
INSERT INTO outbox (created_at, worker, payload, keys, ns, news)
SELECT $8::bigint / (count(*) = cardinality($7) AND (SELECT count(*) FROM q) = cardinality($1)
        AND (SELECT count(*) FROM r) = cardinality($3) AND (SELECT count(*) FROM f) = cardinality($11))::int,
    $9, $10, array_agg('c:' || c.id ORDER BY c.id), array_agg(c.event_n ORDER BY c.id),
    (SELECT array_agg(h.id) FROM unnest($3::batch_thread[]) h)
FROM c
RETURNING id, keys, ns

-- name: create_batch
-- The group commit: all that a batch of new posts changes, in one round trip and one commit.
-- Every array is one of rows, sorted by its key, and names a row once: that is the lock order (pending ids, posts, files,
-- threads, thread members, channel members, channels, outbox), and PostgreSQL silently loses the second change of a row
-- within one statement. The sum of counts makes the parts run in the written order, the channels (hottest rows) last;
-- without it no order is promised.
-- All or nothing: a repeated pending id, a root that is gone, a file that is not to be had, a missing or archived channel
-- divide by zero.
-- It wants plan_cache_mode = force_generic_plan: re-planning costs more than the statement (580 against 280 µs for one post).
WITH {batch};

-- name: create_batch_with_links
-- The same, and $12: ids of those of the posts whose links are to be looked at. A statement of its own: posts without links
-- pay nothing for it.
WITH l AS (
    INSERT INTO awaited_previews (post_id, worker, at, since)
    SELECT g.id, $9, g.at, g.at FROM unnest($2::batch_marked_post[]) g WHERE g.id = ANY($12::text[])
    RETURNING 1
), {batch};


-- name: find_batch
-- A batch whose answer was lost. The payload holds the posts' ids, so no two rows are equal.
SELECT id, keys, ns FROM outbox WHERE NOT published AND created_at = $1 AND worker = $2 AND payload = $3;

-- name: pending_post
SELECT post_id FROM pending_posts WHERE user_id = $1 AND pending_post_id = $2 AND at >= $3;

-- name: prune_pending
-- SKIP LOCKED: a repeat that renews an old row must not wait for, nor deadlock with, the pruning.
DELETE FROM pending_posts WHERE (user_id, pending_post_id) IN (
    SELECT user_id, pending_post_id FROM pending_posts WHERE at < $1
    ORDER BY user_id, pending_post_id FOR UPDATE SKIP LOCKED
);
