-- Devices, and what decides who gets a push.

-- name: users_with_devices
-- Users who may get a push, $1 rows at most; a user may come more than once.
SELECT user_id FROM sessions WHERE device_id <> '' UNION ALL SELECT user_id FROM webpush_subscriptions LIMIT $1;
